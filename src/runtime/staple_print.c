/*
 * The words of a diagnosis.  Main thread.  It ends with what to do: first
 * about the verdict, then about each responder that was of no use although
 * another one was, because a daemon would lose time there at every fetch.
 */
#include "runtime/staple_print.h"

#include "staple/outcome.h"
#include "staple/response.h"
#include "staple/time_text.h"
#include "tls/chain.h"

enum { TEXT_MAX = 256 };

/* ---- The certificate ---- */

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
	const char *by = cert->urls_configured ? "given by --url"
					       : "named by the certificate";

	for (size_t i = 0; i < cert->url_count; i++)
		fprintf(
		    print->out, "  responder    %s, %s\n", cert->urls[i], by);
	if (cert->url_count == 0)
		fputs("  responder    none\n", print->out);
	/* What hinders is printed with the verdict. */
	if (cert->hint[0] != '\0' && cert->unavailable_reason == STAPLE_UNASKED)
		fprintf(print->out, "  note         %s\n", cert->hint);
}

void
staple_print_facts(const struct staple_print *print, const struct chain *chain)
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

/* ---- The tries ---- */

static void
note(struct staple_print *print, const struct staple_finding *found)
{
	size_t url = found->asked.url;

	print->asked[url] = true;
	if (found->outcome == STAPLE_GOOD || found->outcome == STAPLE_REVOKED)
		print->answered[url] = true;
	else
		print->failure[url] = staple_outcome_nearer(
		    print->failure[url], found->outcome);
}

void
staple_print_finding(void *arg, const struct staple_finding *found)
{
	struct staple_print *print = arg;
	size_t url = found->asked.url;

	if (!print->asked[url])
		fprintf(print->out, "\n%s\n", print->cert->urls[url]);
	note(print, found);
	fprintf(print->out, "  %-4s %-7s %6u ms  %s: %s\n",
	    found->asked.get ? "GET" : "POST",
	    found->asked.hash == STAPLE_SHA256 ? "SHA-256" : "SHA-1",
	    found->took_ms, staple_outcome_name(found->outcome), found->said);
	fflush(print->out);
}

/* ---- The verdict ---- */

/* Of this command, beside what would help the daemon. */
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
		advice = "wait; the daemon asks again by itself";
	if (*advice != '\0')
		fprintf(print->out, "  what to do: %s%s\n", advice,
		    find_option(outcome));
}

static void
print_response(
    const struct staple_print *print, const struct staple_response *response)
{
	int64_t expires = staple_response_expires(response);

	fprintf(print->out, "  it would be stapled until %s, for %s%s\n",
	    staple_time_date(expires).text,
	    staple_time_span(expires - print->now_s).text,
	    staple_response_next_update(response) == 0
		? " (it names no nextUpdate)"
		: "");
	fprintf(print->out, "  said at %s, signed by \"%s\"\n",
	    staple_time_date(staple_response_this_update(response)).text,
	    staple_response_signer(response));
	if (!staple_response_leads(response))
		fprintf(print->out,
		    "  its first entry is about another certificate: clients "
		    "with GnuTLS refuse it, and it is\n"
		    "  stapled only where the certificate or the mode demands "
		    "a staple\n");
}

/* Where others answered, such a responder costs time at every fetch. */
static void
print_useless(const struct staple_print *print)
{
	for (size_t i = 0; i < print->cert->url_count; i++) {
		if (!print->asked[i] || print->answered[i])
			continue;
		fprintf(print->out, "  but %s is of no use: %s\n",
		    print->cert->urls[i],
		    staple_outcome_sentence(print->failure[i]));
		advise(print, print->failure[i]);
	}
}

void
staple_print_verdict(const struct staple_print *print,
    enum staple_outcome verdict, const struct staple_response *response,
    const char *hint)
{
	fprintf(print->out, "\nverdict: %s: %s\n", staple_outcome_name(verdict),
	    staple_outcome_sentence(verdict));
	if (*hint != '\0')
		fprintf(print->out, "  %s\n", hint);
	advise(print, verdict);
	if (print->now_s >= print->cert->not_after)
		fputs("  the certificate itself has expired: the daemon would "
		      "ask nobody about it\n",
		    print->out);
	if (response == NULL)
		return;
	print_response(print, response);
	print_useless(print);
}
