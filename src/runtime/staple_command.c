/*
 * clinch staple check and clinch staple fetch.  Main thread, the only one.
 *
 * `check` prints everything on standard output.  `fetch` is for scripts: it
 * prints nothing on success, and on failure it prints on standard error what
 * `check` prints; its file is replaced as a whole, and only by a response with
 * status good.  The report ends with advice: first about the result, then about
 * each responder that failed although another one succeeded, because the daemon
 * loses time there at every fetch.
 */
#include "runtime/staple_command.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "config/value.h"
#include "staple/cert.h"
#include "staple/diagnose.h"
#include "staple/issuers.h"
#include "staple/outcome.h"
#include "staple/response.h"
#include "staple/settings.h"
#include "staple/store.h"
#include "staple/time_text.h"
#include "staple/url.h"
#include "tls/pem.h"

struct staple_arguments {
	bool fetch; /* else check */
	const char *cert_file;
	const char *out_file; /* fetch: "-" is standard output */
	const char *ca_file;
	const char *store_dir; /* NULL: none */
	uint32_t timeout_ms;   /* 0: the default */
	const char *urls[STAPLE_URLS_MAX];
	size_t url_count;
};

/* What a run allocates; freed by tear_down. */
struct run {
	const struct staple_arguments *arguments;
	struct chain chain;
	struct staple_trust trust;
	struct staple_settings *settings;
	struct staple_cert *cert;
	/* the certificate without its fetched issuer */
	struct staple_cert *bare;
	const char *issuer_at; /* source of the fetched issuer; borrowed */
	struct staple_response *response;
	FILE *out;
	char *report; /* memory of `out`, for fetch */
	size_t report_len;
};

/* ---- Arguments ---- */

static bool
refuse(const char *what, const char *why)
{
	fprintf(stderr,
	    "clinch staple: %s%s%s\n"
	    "usage: clinch staple check CERT.pem [--url URL]... "
	    "[--ca-file FILE] [--store-dir DIR] [--timeout TIME]\n"
	    "       clinch staple fetch CERT.pem -o FILE [the same "
	    "options]\n",
	    what, *why != '\0' ? ": " : "", why);
	return false;
}

static bool
take_url(struct staple_arguments *arguments, const char *url)
{
	const char *why;

	if (!staple_url_check(url, strlen(url), &why))
		return refuse(url, why);
	if (arguments->url_count == STAPLE_URLS_MAX)
		return refuse(url, "there are too many URLs");
	arguments->urls[arguments->url_count++] = url;
	return true;
}

static bool
take_timeout(struct staple_arguments *arguments, const char *text)
{
	struct err err;

	return value_read_timeout(&arguments->timeout_ms, text, &err) ||
	       refuse("--timeout", err.text);
}

static bool
take_option(struct staple_arguments *arguments, int option)
{
	switch (option) {
	case 'u':
		return take_url(arguments, optarg);
	case 't':
		return take_timeout(arguments, optarg);
	case 'c':
		arguments->ca_file = optarg;
		return true;
	case 's':
		arguments->store_dir = optarg;
		return true;
	case 'o':
		arguments->out_file = optarg;
		return true;
	default: /* getopt has printed it */
		return refuse("see clinch(8)", "");
	}
}

static bool
take_rest(struct staple_arguments *arguments, int count, char **words)
{
	if (count < 1)
		return refuse("check or fetch is missing", "");
	if (strcmp(words[0], "check") != 0 && strcmp(words[0], "fetch") != 0)
		return refuse(words[0], "neither check nor fetch");
	arguments->fetch = strcmp(words[0], "fetch") == 0;
	if (count < 2)
		return refuse(words[0], "the certificate file is missing");
	if (count > 2)
		return refuse(words[2], "one certificate file at a time");
	arguments->cert_file = words[1];
	if (arguments->fetch && arguments->out_file == NULL)
		return refuse("fetch", "-o FILE is missing, - is stdout");
	if (!arguments->fetch && arguments->out_file != NULL)
		return refuse("check", "-o FILE is an option of fetch");
	return true;
}

static bool
parse(struct staple_arguments *arguments, int argc, char **argv)
{
	static const struct option options[] = {
		{ "url", required_argument, NULL, 'u' },
		{ "ca-file", required_argument, NULL, 'c' },
		{ "store-dir", required_argument, NULL, 's' },
		{ "timeout", required_argument, NULL, 't' },
		{ "output", required_argument, NULL, 'o' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
		if (!take_option(arguments, option))
			return false;
	}
	return take_rest(arguments, argc - optind, argv + optind);
}

/* ---- The report: certificate ---- */

enum { TEXT_MAX = 256 };

/* The state of a report. */
struct staple_print {
	FILE *out;
	const struct staple_cert *cert;
	const char *cert_file;
	const char *ca_file;   /* NULL: none given */
	const char *issuer_at; /* URL or folder of a fetched issuer; or NULL */
	int64_t now_s;

	/* by URL: was there an answer, and if not, the best failure */
	bool asked[STAPLE_URLS_MAX];
	bool answered[STAPLE_URLS_MAX];
	enum staple_outcome failure[STAPLE_URLS_MAX];
};

static void
print_validity(const struct staple_print *print)
{
	const struct staple_cert *cert = print->cert;
	int64_t now = print->now_s;
	const char *tense = "for";
	int64_t span = cert->not_after - now;

	if (now >= cert->not_after)
		tense = "expired since";
	else if (now < cert->not_before) {
		tense = "begins in";
		span = cert->not_before - now;
	}
	fprintf(print->out, "  valid        %s to %s, %s %s\n",
	    staple_time_date(cert->not_before).text,
	    staple_time_date(cert->not_after).text, tense,
	    staple_time_span(span).text);
}

static void
print_issuer(const struct staple_print *print, const struct chain *chain)
{
	const char *where = "the system's store";
	char name[TEXT_MAX];

	if (print->cert->origin == STAPLE_ORIGIN_CHAIN)
		where = print->cert_file;
	else if (print->cert->origin == STAPLE_ORIGIN_CA_FILE)
		where = print->ca_file;
	else if (print->issuer_at != NULL)
		where = print->issuer_at;
	chain_print_issuer(chain->leaf, name, sizeof(name));
	if (print->cert->issuer != NULL)
		fprintf(print->out, "  issuer       %s, found in %s\n", name,
		    where);
	else
		fprintf(print->out, "  issuer       %s, not found\n", name);
}

static void
print_responders(const struct staple_print *print)
{
	const struct staple_cert *cert = print->cert;
	const char *by = cert->urls_configured ? "from --url"
					       : "from the certificate";

	for (size_t i = 0; i < cert->url_count; i++)
		fprintf(
		    print->out, "  responder    %s, %s\n", cert->urls[i], by);
	if (cert->url_count == 0)
		fputs("  responder    none\n", print->out);
	/* An obstacle is printed with the result. */
	if (cert->hint[0] != '\0' && cert->unavailable_reason == STAPLE_UNASKED)
		fprintf(print->out, "  note         %s\n", cert->hint);
}

static void
print_facts(const struct staple_print *print, const struct chain *chain)
{
	char serial[TEXT_MAX];

	chain_print_serial(chain->leaf, serial, sizeof(serial));
	fprintf(print->out, "certificate %s\n", print->cert->name);
	fprintf(print->out, "  serial       %s\n", serial);
	print_validity(print);
	fprintf(print->out, "  must-staple  %s\n",
	    print->cert->must_staple ? "yes" : "no");
	print_issuer(print, chain);
	print_responders(print);
}

/* ---- The report: attempts ---- */

static void
note(struct staple_print *print, size_t url, enum staple_outcome outcome)
{
	print->asked[url] = true;
	if (outcome == STAPLE_GOOD || outcome == STAPLE_REVOKED)
		print->answered[url] = true;
	else
		print->failure[url] = staple_outcome_nearer(
		    print->failure[url], outcome);
}

static void
print_exchange(void *arg, const struct staple_request_variant *variant,
    const struct staple_result *result, uint32_t took_ms)
{
	struct staple_print *print = arg;

	if (!print->asked[variant->url])
		fprintf(print->out, "\n%s\n", print->cert->urls[variant->url]);
	note(print, variant->url, result->outcome);
	fprintf(print->out, "  %-4s %-7s %6u ms  %s: %s\n",
	    variant->get ? "GET" : "POST",
	    variant->hash == STAPLE_SHA256 ? "SHA-256" : "SHA-1", took_ms,
	    staple_outcome_name(result->outcome), result->said.text);
	fflush(print->out);
}

/* ---- The report: result and advice ---- */

/* The option of this command that corresponds to the advice. */
static const char *
find_option(enum staple_outcome outcome)
{
	if (outcome == STAPLE_NO_RESPONDER)
		return " (here: --url URL)";
	if (outcome == STAPLE_NO_ISSUER)
		return " (here: --ca-file FILE)";
	return "";
}

static void
advise(const struct staple_print *print, enum staple_outcome outcome)
{
	const char *advice = staple_outcome_advice(outcome);

	if (*advice == '\0' && staple_outcome_is_failure(outcome))
		advice = "wait; the daemon repeats the attempt";
	if (*advice != '\0')
		fprintf(print->out, "  remedy: %s%s\n", advice,
		    find_option(outcome));
}

static void
print_response(
    const struct staple_print *print, const struct staple_response *response)
{
	int64_t expires = staple_response_expires(response);

	fprintf(print->out, "  can be stapled until %s, for %s%s\n",
	    staple_time_date(expires).text,
	    staple_time_span(expires - print->now_s).text,
	    staple_response_next_update(response) == 0
		? " (it has no nextUpdate)"
		: "");
	fprintf(print->out, "  thisUpdate %s, signed by \"%s\"\n",
	    staple_time_date(staple_response_this_update(response)).text,
	    staple_response_signer(response));
	if (!staple_response_leads(response))
		fprintf(print->out,
		    "  its first entry is about another certificate: clients "
		    "with GnuTLS refuse it, and it is\n"
		    "  stapled only if the certificate or the mode requires "
		    "a staple\n");
}

/* A failing responder costs time at every fetch, although others answer. */
static void
print_useless(const struct staple_print *print)
{
	for (size_t i = 0; i < print->cert->url_count; i++) {
		if (!print->asked[i] || print->answered[i])
			continue;
		fprintf(print->out, "  failed: %s: %s\n", print->cert->urls[i],
		    staple_outcome_sentence(print->failure[i]));
		advise(print, print->failure[i]);
	}
}

static void
print_result(const struct staple_print *print,
    const struct staple_result *result, const struct staple_response *response)
{
	fprintf(print->out, "\nresult: %s: %s\n",
	    staple_outcome_name(result->outcome),
	    staple_outcome_sentence(result->outcome));
	if (result->said.text[0] != '\0')
		fprintf(print->out, "  %s\n", result->said.text);
	advise(print, result->outcome);
	if (print->now_s >= print->cert->not_after)
		fputs("  the certificate has expired: the daemon sends no "
		      "request for it\n",
		    print->out);
	if (response == NULL)
		return;
	print_response(print, response);
	print_useless(print);
}

/* ---- A run ---- */

static bool
load(struct run *run, struct err *err)
{
	const struct staple_arguments *arguments = run->arguments;
	const struct staple_source source = { .urls = arguments->urls,
		.url_count = arguments->url_count };
	const struct staple_options options = { .ca_file = arguments->ca_file,
		.timeout_ms = arguments->timeout_ms };

	err_set(err, "out of memory");
	run->settings = staple_settings_new(&options);
	run->out = arguments->fetch
		       ? open_memstream(&run->report, &run->report_len)
		       : stdout;
	if (run->settings == NULL || run->out == NULL ||
	    !chain_load(&run->chain, arguments->cert_file, err) ||
	    !staple_trust_init(&run->trust, arguments->ca_file, err))
		return false;
	run->trust.aia_issuer = true;
	run->cert = staple_cert_new(
	    run->chain.leaf, run->chain.rest, &source, &run->trust, err);
	return run->cert != NULL;
}

/* result->said: why there is no issuer. */
static void
query_responders(struct run *run, struct staple_result *result)
{
	struct staple_print print = { .out = run->out,
		.cert = run->cert,
		.cert_file = run->arguments->cert_file,
		.ca_file = run->arguments->ca_file,
		.issuer_at = run->issuer_at,
		.now_s = clock_wall_ms() / 1000 };

	print_facts(&print, &run->chain);
	run->response = staple_diagnose(run->cert, run->settings,
	    !run->arguments->fetch, print_exchange, &print, result);
	print_result(&print, result, run->response);
}

/* As a daemon with that store_dir finds it. */
static struct staple_cert *
load_issuer(struct run *run, struct err *err)
{
	const struct staple_cert *cert = run->cert;
	struct staple_cert *whole = NULL;
	struct staple_store *store;
	X509 *issuer = NULL;

	if (run->arguments->store_dir == NULL)
		return NULL;
	run->issuer_at = run->arguments->store_dir;
	store = staple_store_open_issuers(run->arguments->store_dir, err);
	if (store != NULL)
		issuer = staple_issuer_load(store, cert, err);
	if (issuer != NULL)
		whole = staple_cert_with_issuer(
		    cert, cert->leaf, issuer, STAPLE_ORIGIN_STORE, err);
	X509_free(issuer);
	staple_store_close(store);
	return whole;
}

/* hint: why it was not found. */
static void
find_issuer(struct run *run, struct err *hint)
{
	struct staple_cert *whole;

	if (run->cert->issuer_url_count == 0)
		return;
	whole = load_issuer(run, hint);
	if (whole == NULL)
		whole = staple_diagnose_issuer(
		    run->cert, run->settings, &run->issuer_at, hint);
	if (whole == NULL)
		return;
	run->bare = run->cert; /* it owns the URL */
	run->cert = whole;
}

static enum staple_outcome
query(struct run *run)
{
	struct staple_result result = { .outcome = STAPLE_UNASKED };

	find_issuer(run, &result.said);
	query_responders(run, &result);
	return result.outcome;
}

static enum staple_exit
exit_of(enum staple_outcome outcome)
{
	switch (outcome) {
	case STAPLE_GOOD:
		return STAPLE_EXIT_GOOD;
	case STAPLE_REVOKED:
		return STAPLE_EXIT_REVOKED;
	case STAPLE_UNKNOWN:
		return STAPLE_EXIT_UNKNOWN;
	default:
		return STAPLE_EXIT_FAILED;
	}
}

static void
tear_down(struct run *run)
{
	if (run->out != NULL && run->out != stdout)
		fclose(run->out);
	free(run->report);
	staple_response_unref(run->response);
	staple_cert_unref(run->cert);
	staple_cert_unref(run->bare);
	staple_trust_fini(&run->trust);
	staple_settings_unref(run->settings);
	chain_drop(&run->chain);
}

/* ---- The file of a fetch ---- */

static bool
write_all(int fd, const unsigned char *data, size_t len)
{
	while (len > 0) {
		ssize_t written = write(fd, data, len);

		if (written < 0 && errno != EINTR)
			return false;
		if (written > 0) {
			data += written;
			len -= (size_t)written;
		}
	}
	return true;
}

/* mkstemp's mode is for the owner alone; a response is public. */
static bool
open_to_readers(int fd)
{
	mode_t mask = umask(0);

	umask(mask);
	return fchmod(fd, 0644 & ~mask) == 0;
}

/* A device, a pipe or a link to one is written to, never replaced. */
static bool
is_special(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && !S_ISREG(status.st_mode);
}

static bool
write_special(const char *path, const unsigned char *der, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	bool written = fd >= 0 && write_all(fd, der, len);

	return fd >= 0 && close(fd) == 0 && written;
}

static bool
replace_file(const char *path, const unsigned char *der, size_t len)
{
	char aside[PATH_MAX];
	bool written;
	int fd;

	if (snprintf(aside, sizeof(aside), "%s.XXXXXX", path) >=
	    (int)sizeof(aside)) {
		errno = ENAMETOOLONG;
		return false;
	}
	fd = mkostemp(aside, O_CLOEXEC);
	if (fd < 0)
		return false;
	written = write_all(fd, der, len) && open_to_readers(fd) &&
		  fsync(fd) == 0;
	written = close(fd) == 0 && written;
	if (written && rename(aside, path) == 0)
		return true;
	unlink(aside);
	return false;
}

static bool
write_out(const char *path, const unsigned char *der, size_t len)
{
	if (strcmp(path, "-") == 0)
		return write_all(STDOUT_FILENO, der, len);
	return is_special(path) ? write_special(path, der, len)
				: replace_file(path, der, len);
}

static enum staple_exit
deliver(const struct run *run)
{
	const char *path = run->arguments->out_file;
	size_t len;
	const unsigned char *der = staple_response_der(run->response, &len);

	if (write_out(path, der, len))
		return STAPLE_EXIT_GOOD;
	fprintf(stderr, "clinch staple: cannot write %s: %s\n", path,
	    strerror(errno));
	return STAPLE_EXIT_FAILED;
}

static enum staple_exit
conclude(struct run *run, enum staple_outcome outcome)
{
	if (run->arguments->fetch && outcome == STAPLE_GOOD)
		return deliver(run);
	if (run->arguments->fetch && fflush(run->out) == 0)
		fputs(run->report, stderr);
	return exit_of(outcome);
}

enum staple_exit
staple_command_run(int argc, char **argv)
{
	struct staple_arguments arguments = { .fetch = false };
	struct run run = { .arguments = &arguments };
	enum staple_exit status = STAPLE_EXIT_FAILED;
	struct err err;

	if (!parse(&arguments, argc, argv))
		return STAPLE_EXIT_USAGE;
	/* Responders may close while they are written to. */
	signal(SIGPIPE, SIG_IGN);
	if (load(&run, &err))
		status = conclude(&run, query(&run));
	else
		fprintf(stderr, "clinch staple: %s\n", err.text);
	tear_down(&run);
	return status;
}
