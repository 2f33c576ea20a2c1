/*
 * Arguments, then one call: into the runtime, or a command that prints and
 * ends.  Main thread.  The exit status is a contract: 0 asked to stop, 1 failed
 * to start, 2 bad configuration or usage, 3 a certificate is revoked and policy
 * ends the process (enum server_exit).  "staple" (staple_exit), "healthcheck"
 * (healthcheck_exit) and the commands of the admin endpoint (admin_command_exit)
 * have their own.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "admin/command.h"
#include "config/config.h"
#include "runtime/check_command.h"
#include "runtime/healthcheck.h"
#include "runtime/process.h"
#include "runtime/server.h"
#include "runtime/staple_command.h"
#include "runtime/version.h"

enum command {
	COMMAND_RUN,
	COMMAND_TEST,
	COMMAND_PRINT_CONFIG,
	COMMAND_LIST_KEYS,
	COMMAND_VERSION,
	COMMAND_HELP,
	COMMAND_BAD_USAGE
};

static void
print_help(FILE *out)
{
	fputs("usage: clinch [-c FILE] [COMMAND]\n"
	      "       clinch status [-c FILE] [--json] [--watch]\n"
	      "       clinch reload [-c FILE]\n"
	      "       clinch refresh [-c FILE] [CERTIFICATE]\n"
	      "       clinch upgrade [-c FILE]\n"
	      "       clinch healthcheck [-c FILE] [OPTION]...\n"
	      "       clinch staple check CERT.pem [OPTION]...\n"
	      "       clinch staple fetch CERT.pem -o FILE [OPTION]...\n"
	      "Terminate TLS in front of plaintext services.\n"
	      "\n"
	      "  -c, --config FILE  read FILE instead of " DEFAULT_FILE "\n"
	      "commands, instead of running:\n"
	      "  -t, --test         check everything, print what would run; "
	      "no socket is opened\n"
	      "      --print-config print the effective configuration\n"
	      "      --list-keys    print every key of FILE\n"
	      "  -V, --version      print the version, libraries and features\n"
	      "  -h, --help         print this\n"
	      "through [admin] listen of a running clinch:\n"
	      "  status             print its listeners and certificates\n"
	      "      --json         as JSON\n"
	      "      --watch        every two seconds, until Ctrl-C\n"
	      "  reload             reload FILE; the errors, or \"reloaded\"\n"
	      "  refresh            fetch staples now: all, or those of the\n"
	      "                     certificate with this name or id\n"
	      "  upgrade            start the program anew; it takes over the\n"
	      "                     sockets, and the running process drains\n"
	      "check the listeners and staples of a running clinch:\n"
	      "  healthcheck        one line; exit status 0 (healthy) or 1\n"
	      "      --listener NAME\n"
	      "                     check only this listener; may repeat\n"
	      "      --timeout TIME for all of them, \"4s\" by default\n"
	      "check the OCSP responders of a certificate:\n"
	      "  staple check       send every kind of request, print results "
	      "and remedies\n"
	      "  staple fetch       write a verified response with status "
	      "\"good\"\n"
	      "  -o, --output FILE  to FILE; - is standard output\n"
	      "      --url URL      use this responder instead; may repeat\n"
	      "      --ca-file FILE search FILE for the issuer, too\n"
	      "      --store-dir DIR\n"
	      "                     search this store_dir for a fetched "
	      "issuer\n"
	      "      --timeout TIME for an attempt, \"10s\" by default\n"
	      "\n"
	      "signals: TERM, INT drain and stop; HUP reload; USR1 reopen "
	      "logs;\n"
	      "         USR2 upgrade\n"
	      "see clinch(8) and clinch.ini(5)\n",
	    out);
}

static const char *
name_of(enum command command)
{
	static const char *const names[] = {
		[COMMAND_TEST] = "--test",
		[COMMAND_PRINT_CONFIG] = "--print-config",
		[COMMAND_LIST_KEYS] = "--list-keys",
		[COMMAND_VERSION] = "--version",
		[COMMAND_HELP] = "--help",
	};

	return names[command];
}

/* More than one command is bad usage; the same one twice is not. */
static enum command
choose(enum command before, enum command now)
{
	if (before == COMMAND_RUN || before == now)
		return now;
	if (before != COMMAND_BAD_USAGE)
		fprintf(stderr,
		    "clinch: %s and %s are two commands: give one of them\n",
		    name_of(before), name_of(now));
	return COMMAND_BAD_USAGE;
}

static enum command
parse(int argc, char **argv, const char **file)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "test", no_argument, NULL, 't' },
		{ "print-config", no_argument, NULL, 'p' },
		{ "list-keys", no_argument, NULL, 'l' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	static const char letters[] = "tplVh";
	static const enum command commands[] = { COMMAND_TEST,
		COMMAND_PRINT_CONFIG, COMMAND_LIST_KEYS, COMMAND_VERSION,
		COMMAND_HELP };
	enum command command = COMMAND_RUN;
	const char *letter;
	int option;

	while (
	    (option = getopt_long(argc, argv, "c:tVh", options, NULL)) != -1) {
		letter = strchr(letters, option);
		if (option == 'c')
			*file = optarg;
		else if (letter)
			command = choose(command, commands[letter - letters]);
		else
			return COMMAND_BAD_USAGE;
	}
	if (optind < argc) {
		fprintf(stderr,
		    "clinch: unexpected argument %s: a configuration is named "
		    "by -c FILE\n",
		    argv[optind]);
		return COMMAND_BAD_USAGE;
	}
	return command;
}

static enum server_exit
print_config(const char *file)
{
	struct config_errors errors;
	const struct config *config;
	size_t i;

	memset(&errors, 0, sizeof(errors));
	config = config_load(file, &errors);
	for (i = 0; i < errors.list.count; i++)
		fprintf(stderr, "%s\n", errors.list.items[i]);
	config_errors_free(&errors);
	if (config == NULL)
		return EXIT_BAD_CONFIG;
	config_print(config, stdout);
	config_unref(config);
	return EXIT_ASKED;
}

/* Printing is all that some commands do: a full disk must not pass as 0. */
static int
flush(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	perror("clinch: standard output");
	return EXIT_START_FAILED;
}

int
main(int argc, char **argv)
{
	const char *file = DEFAULT_FILE;

	if (!process_fill_standard())
		return EXIT_START_FAILED;
	process_obey_signals();
	if (argc > 1 && strcmp(argv[1], "staple") == 0)
		return flush((int)staple_command_run(argc - 1, argv + 1));
	if (argc > 1 && admin_command_is(argv[1]))
		return flush((int)admin_command_run(argc - 1, argv + 1, file));
	if (argc > 1 && strcmp(argv[1], "healthcheck") == 0)
		return flush((int)healthcheck_run(argc - 1, argv + 1, file));
	switch (parse(argc, argv, &file)) {
	case COMMAND_RUN:
		return (int)server_run(file, argv);
	case COMMAND_TEST:
		return flush(check_command_run(file));
	case COMMAND_PRINT_CONFIG:
		return flush(print_config(file));
	case COMMAND_LIST_KEYS:
		config_list_keys(stdout);
		return flush(EXIT_ASKED);
	case COMMAND_VERSION:
		return flush(version_print() ? EXIT_ASKED : EXIT_START_FAILED);
	case COMMAND_HELP:
		print_help(stdout);
		return flush(EXIT_ASKED);
	case COMMAND_BAD_USAGE:
		break;
	}
	fputs("usage: clinch [-c FILE] [COMMAND]; see clinch --help\n", stderr);
	return EXIT_BAD_CONFIG;
}
