/*
 * libstaple: OCSP stapling that never lets go, for any OpenSSL server.
 *
 * A thread of the library fetches, verifies, keeps and refreshes the OCSP
 * response of every certificate it was shown; handshakes staple what it holds
 * and never wait for it.  What is fetched belongs to the certificate, what is
 * sent belongs to the context.  See staple(3).
 *
 * Threads: staple_new to staple_free are called by one thread at a time (as a
 * rule the one that sets up contexts), except staple_state, staple_inspect,
 * staple_refresh and staple_wait, which any thread may call while the object
 * lives.  SSL, SSL_CTX and X509 objects may be freed by any thread, before or
 * after staple_free.
 *
 * Fork: between staple_new and staple_start a process may fork as often as it
 * likes; parent and children each start, or free, their copy.  The threads that
 * staple_start makes do not exist in a child that is forked later.  There
 * nothing is fetched or saved, and a lock may be held for ever that a thread of
 * the parent had at the fork: the child must neither show an attached context
 * to a client nor call any verb but staple_free (or exec).  staple_free does
 * not wait there and leaves the parent's threads, connections and files alone.
 * After it the child may use the contexts, and make a struct staple of its own.
 *
 * Errors: false or NULL, and one sentence in why (why_len bytes with the
 * terminator; NULL and 0 if nobody will read it).
 */
#ifndef STAPLE_STAPLE_H
#define STAPLE_STAPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>
#include <openssl/x509.h>

#ifdef __cplusplus
extern "C" {
#endif

struct staple; /* opaque */

/* Which certificates are stapled. */
enum staple_mode {
	STAPLE_AUTO,   /* those that carry must-staple (RFC 7633) */
	STAPLE_MUST,   /* the same, and failing to is fatal */
	STAPLE_ALWAYS, /* all, and failing to is fatal */
	STAPLE_NEVER,  /* none */
	STAPLE_PREFER  /* all that have a responder */
};

/* A client asked, the certificate should be stapled, nothing valid is held. */
enum staple_without {
	STAPLE_WITHOUT_BY_MODE, /* serve in auto and prefer, else refuse */
	STAPLE_WITHOUT_SERVE,   /* go on without a staple */
	STAPLE_WITHOUT_REFUSE   /* end the handshake with an alert */
};

/* What a confirmed "revoked" does. */
enum staple_on_revoked {
	STAPLE_REVOKED_BY_MODE, /* staple in auto and prefer, else exit */
	STAPLE_REVOKED_EXIT,    /* staple it; the application should stop */
	STAPLE_REVOKED_REFUSE,  /* end the handshake with an alert */
	STAPLE_REVOKED_STAPLE   /* tell clients the truth and go on */
};

/* Every way an attempt to get a response can end.  staple_outcome_name gives
 * the word that logs, status and the manual use. */
enum staple_outcome {
	STAPLE_UNASKED, /* nothing has been tried yet */

	/* answers, verified */
	STAPLE_GOOD,
	STAPLE_UNCHANGED, /* good, and the very bytes that were held */
	STAPLE_REVOKED,
	STAPLE_UNKNOWN, /* the responder does not know the certificate */

	/* nobody is asked */
	STAPLE_NO_RESPONDER, /* neither AIA nor a configured URL */
	STAPLE_NO_ISSUER,    /* not in the chain, nor in any store, nor at the
			     caIssuers URLs of the certificate */
	STAPLE_CERTIFICATE_EXPIRED, /* past notAfter */

	/* no connection, no answer */
	STAPLE_BAD_URL,
	STAPLE_NAME_NOT_FOUND,
	STAPLE_NAME_TIMEOUT,
	STAPLE_CONNECTION_REFUSED,
	STAPLE_UNREACHABLE,
	STAPLE_CONNECTION_RESET,
	STAPLE_TLS_FAILED,
	STAPLE_PROXY_DENIED, /* HTTP 407, or another 4xx to CONNECT */
	STAPLE_TIMEOUT_CONNECT,
	STAPLE_TIMEOUT_HEADERS,
	STAPLE_TIMEOUT_BODY, /* the body stopped coming */
	STAPLE_SLOW_DRIP,    /* it was still coming when time was up */

	/* an answer that is no OCSP response */
	STAPLE_HTTP_4XX,
	STAPLE_HTTP_5XX,
	STAPLE_HTTP_OTHER,
	STAPLE_REDIRECT_LOOP,    /* more than three */
	STAPLE_REDIRECT_REFUSED, /* to no http(s) URL, or from https to http */
	STAPLE_NOT_OCSP, /* another content type, and no response inside */
	STAPLE_EMPTY,
	STAPLE_TRUNCATED,
	STAPLE_TOO_LARGE,
	STAPLE_MALFORMED,
	STAPLE_TRAILING_BYTES,

	/* the responder's own errors, RFC 6960 section 4.2.1 */
	STAPLE_MALFORMED_REQUEST,
	STAPLE_INTERNAL_ERROR,
	STAPLE_TRY_LATER,
	STAPLE_SIG_REQUIRED,
	STAPLE_UNAUTHORIZED,

	/* a response that must not be believed or used */
	STAPLE_WRONG_CERTIFICATE,
	STAPLE_WRONG_SIGNER,
	STAPLE_BAD_SIGNATURE,
	STAPLE_WEAK_SIGNATURE, /* MD5 and older, RSA up to 1024 bits */
	STAPLE_EXPIRED,
	STAPLE_NOT_YET_VALID,
	STAPLE_CONTRADICTORY,       /* entries about the certificate disagree */
	STAPLE_TOO_LARGE_TO_STAPLE, /* as clients would refuse it */
	STAPLE_OLDER,               /* than the one held */

	/* trouble of our own */
	STAPLE_FILE_UNREADABLE, /* staple_file */
	STAPLE_NO_MEMORY,

	STAPLE_OUTCOMES /* how many there are */
};

/* "good", "http_5xx", ...; constant. */
const char *staple_outcome_name(enum staple_outcome outcome);

/* Why a client that asked was sent nothing. */
enum staple_unsent {
	STAPLE_UNSENT_UNWANTED, /* by policy this certificate has no staple */
	STAPLE_UNSENT_NONE,     /* nothing has been fetched yet */
	STAPLE_UNSENT_EXPIRED,  /* what was held is past its expiry */
	/* ...or dated in the future: the clock was set back. */
	STAPLE_UNSENT_NOT_YET_VALID,
	/* Its first entry is about another certificate, so GnuTLS's clients
	 * would refuse it; and this certificate may go without. */
	STAPLE_UNSENT_NOT_FIRST,
	STAPLE_UNSENT_REVOKED, /* STAPLE_REVOKED_REFUSE */
	STAPLE_UNSENT_NO_MEMORY,
	STAPLE_UNSENT_REASONS
};
const char *staple_unsent_name(enum staple_unsent reason);

enum staple_level {
	STAPLE_LEVEL_ERROR,
	STAPLE_LEVEL_WARNING,
	STAPLE_LEVEL_NOTICE,
	STAPLE_LEVEL_INFO,
	STAPLE_LEVEL_DEBUG
};

/* One line for the log.  Borrowed for the call. */
struct staple_event {
	enum staple_level level;
	const char *certificate;     /* its name; NULL: of the library itself */
	const char *id;              /* as in staple_info; NULL: as above */
	enum staple_outcome outcome; /* STAPLE_UNASKED: of no attempt */
	const char *message;         /* one sentence, or two */
};

/* A snapshot of one certificate.  Times are seconds since the epoch, 0: none.
 * Texts are escaped: safe to print. */
struct staple_info {
	char name[128];   /* the first DNS name or the common name */
	char id[65];      /* SHA-256 of the DER in hex: the file in store_dir */
	bool must_staple; /* the certificate carries the extension */
	bool wanted;      /* some policy asks for its staple */
	unsigned responders; /* URLs there are to ask */
	/* Why nobody can be asked, or UNASKED.  The issuer is looked for when
	 * the certificate becomes wanted: not before is it missing.  One that
	 * can be fetched is no unavailable_reason; a failed fetch is an outcome. */
	enum staple_outcome unavailable_reason;

	/* A good response is held and valid, or an attempt of this process has
	 * ended since the certificate was wanted. */
	bool settled;
	enum staple_outcome outcome; /* of the last attempt */
	unsigned failures;           /* attempts in a row */
	int64_t next_try;
	char said[512]; /* the last attempt: each URL and what came of it */

	bool held;    /* a verified response; look at its times */
	bool revoked; /* ...which says revoked */
	/* Two independent answers said so, or no second one could be had in
	 * an attempt that followed (then unconfirmable is set instead). */
	bool confirmed;
	bool unconfirmable;
	int64_t this_update; /* until five minutes before it is not sent */
	int64_t next_update; /* 0: the response has none */
	int64_t expires;     /* from here on it is not sent */

	uint64_t asked; /* clients that sent status_request */
	uint64_t sent;
	uint64_t unsent[STAPLE_UNSENT_REASONS];
};

/* Both run on the staple thread (or in the calling thread, before
 * staple_start) with no lock held; they must not call this library's verbs
 * except staple_state, staple_inspect and staple_refresh. */
typedef void staple_log_fn(void *arg, const struct staple_event *event);
typedef void staple_change_fn(void *arg, const struct staple_info *info);

/* The HTTP method that is tried first.  The other one follows where HTTP was
 * the reason of a failure, and confirms a "revoked". */
enum staple_method {
	STAPLE_METHOD_AUTO, /* GET where its URL has at most 255 bytes (RFC
			       5019, RFC 9919), else POST */
	STAPLE_METHOD_POST,
	STAPLE_METHOD_GET /* whatever the length */
};

/* Zero means the default.  Strings are copied. */
struct staple_options {
	const char *store_dir; /* responses and fetched issuers outlive the
				  process in its folders ocsp/ and issuer/,
				  which several processes may share; NULL:
				  they do not.  Fixed. */
	const char *ca_file;   /* PEM: issuers, and trust for https responders,
				  instead of the system's store */
	const char *proxy; /* "http://host:port"; NULL: from the environment;
			      "": none */
	enum staple_method method;
	bool no_aia_issuer;  /* do not fetch a missing issuer from the caIssuers
			       URLs of the certificate */
	uint32_t timeout_ms; /* of an attempt: 10 s */
	uint32_t min_interval_s;     /* between regular fetches: 5 min */
	uint32_t max_interval_s;     /* 7 d */
	uint32_t default_lifetime_s; /* without nextUpdate: 24 h */
	uint32_t max_response;       /* bytes: 64 KiB */
	uint32_t max_fetches;        /* at a time: 32; of one host 4, and up
					to 32 while it answers quickly */
	staple_log_fn *log;          /* NULL: silence */
	staple_change_fn *on_change; /* something in its staple_info that
				decides (outcome, held, settled, confirmed), of
				one that is wanted, or was */
	void *arg;                   /* of both callbacks */
};

/* What is fetched: belongs to the certificate.  Copied. */
struct staple_source {
	const char *const *urls; /* instead of the certificate's own */
	size_t url_count;        /* 0: the certificate's own */
	const char *staple_file; /* a response of another tool, as DER, base64
				    or PEM; no responder is asked then.  NULL:
				    none */
};

/* What is sent: belongs to the context.  Zero is auto.  Copied. */
struct staple_policy {
	enum staple_mode mode;
	enum staple_without without_staple;
	enum staple_on_revoked on_revoked;
};

/* NULL options: all defaults.  NULL: *why. */
struct staple *staple_new(
    const struct staple_options *options, char *why, size_t why_len);

/* Other options from now on (store_dir and the callbacks stay); what is held
 * and in flight is kept. */
bool staple_configure(struct staple *staple,
    const struct staple_options *options, char *why, size_t why_len);

/*
 * Set the status callback and the policy (NULL: auto) of a context, and watch
 * every certificate in its slots, with its chain there, under that policy;
 * what staple_watch was told to fetch is kept.  Before any other thread uses
 * the context; but it may be attached again, with another policy, at any time.
 * A context with a status callback of its own, or of another struct staple
 * that lives, is refused.
 */
bool staple_attach(struct staple *staple, SSL_CTX *context,
    const struct staple_policy *policy, char *why, size_t why_len);

/*
 * Watch one certificate, to be shown by contexts with this policy (NULL: auto;
 * it decides whether the certificate is fetched).  chain: where its issuer may
 * stand (NULL: look in the stores).  source: NULL or zero: what the
 * certificate says; of several calls the last one counts.  Before handshakes
 * show it, and the very object that they will show: an equal one shares the
 * response, but must be watched as well.  Watching it again asks nobody
 * anything new, but has its staple_file looked at at once: whoever sees that
 * file change calls this again.  One that no policy wants costs next to
 * nothing until one does.  There is no detach: when the last holder frees the
 * X509, it is forgotten.
 */
bool staple_watch(struct staple *staple, X509 *certificate,
    STACK_OF(X509) * chain, const struct staple_source *source,
    const struct staple_policy *policy, char *why, size_t why_len);

/* Start the threads.  Once in each process; see above for forks. */
bool staple_start(struct staple *staple, char *why, size_t why_len);

/* Wait until every wanted certificate is settled: true; or time is up. */
bool staple_wait(struct staple *staple, unsigned timeout_ms);

/* The state of this very object, or of an equal certificate; false: never
 * watched. */
bool staple_state(
    struct staple *staple, X509 *certificate, struct staple_info *info);

/* Ask again now for all that is wanted, within the limits. */
void staple_refresh(struct staple *staple);

typedef void staple_visit_fn(void *arg, const struct staple_info *info);
/* Every certificate, one after the other, with no lock held. */
void staple_inspect(struct staple *staple, staple_visit_fn *visit, void *arg);

/* Stops the threads and forgets every response: handshakes of contexts that
 * live on have nothing to staple.  In the child of a fork after staple_start
 * some memory stays allocated.  NULL is fine. */
void staple_free(struct staple *staple);

#ifdef __cplusplus
}
#endif

#endif
