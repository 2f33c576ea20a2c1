/*
 * Words that are known but are no keys of this version: those of stunnel
 * that are taken over, ignored or refused, and those of features that are
 * not built yet.  Constant; any thread.
 */
#ifndef CONFIG_WORDS_H
#define CONFIG_WORDS_H

#include <stdbool.h>

#include "base/attr.h"

enum word_verdict {
	WORD_QUIET,     /* says what is the case anyway */
	WORD_NO_EFFECT, /* ignored, and named in one note */
	WORD_REFUSED,   /* said why */
	WORD_VERSION,   /* sslVersion */
	WORD_OPTIONS,   /* options */
	WORD_SOCKET,    /* socket */
	WORD_SYSLOG,    /* syslog = yes */
	WORD_VERIFY,    /* verify = what it says */
	WORD_ALLOW,     /* allow_san = what it says, and the value behind it */
	WORD_PROXY_OUT, /* proxy_out = what it says */
	WORD_REQUIRE,   /* requireCert */
	WORD_SNI        /* sni: read with the heading */
};

struct word {
	const char *name;
	const char *value; /* only with this value ("no", "yes": any spelling);
			      NULL: with all others */
	enum word_verdict verdict;
	const char *says; /* refused: what to do instead */
};

/* What is known of this key with this value (NULL: a broken one).  NULL:
 * nothing. */
const struct word *words_find(const char *key, const char *value);

/* What a word of another program is here: "hitch's word for cert".  NULL: it
 * is no such word, or is one of ours. */
const char *words_foreign(const char *key);

/* Is this key one that only stunnel has, in stunnel's spelling? */
bool words_is_stunnel(const char *key);

/* Does a file's name make it stunnel's: stunnel.conf, my-stunnel.ini,
 * /etc/stunnel/web.conf? */
bool words_is_stunnel_file(const char *path);

/* What a section of a later version is called in the sentence; NULL: it is
 * none.  `name` as it stands in the heading. */
const char *words_later_section(const char *name);

/* The words of options = ..., the same way. */
enum word_option {
	OPTION_UNKNOWN,
	OPTION_QUIET,
	OPTION_NO_TLS12,
	OPTION_NO_TLS13,
	OPTION_NO_TICKET,
	OPTION_SERVER_ORDER,
	OPTION_REFUSED /* would switch something weak on */
};
enum word_option words_option(const char *option);

/* The words of socket = a|l|r:OPTION=VALUE, the same way. */
enum word_socket {
	SOCKET_NO_EFFECT,
	SOCKET_KEEPALIVE,  /* likewise: keepalive is what to use */
	SOCKET_BIND_EARLY, /* bind_early = VALUE */
	SOCKET_DEVICE,     /* device = VALUE */
	SOCKET_REFUSED     /* its effect would be missed */
};
enum word_socket words_socket(const char *option);

#endif
