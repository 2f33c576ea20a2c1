/*
 * libstaple: OCSP stapling for any OpenSSL server.
 *
 * A thread of the library fetches, verifies, keeps and refreshes the OCSP
 * response of every watched certificate.  Handshakes staple the response that
 * is held and never wait for a fetch.  Settings of the fetch belong to the
 * certificate, settings of the handshake to the context.  See staple(3).
 *
 * Threads: staple_new to staple_free are called by one thread at a time (as a
 * rule the one that sets up contexts), except staple_state, staple_inspect,
 * staple_refresh, staple_refresh_certificate and staple_wait, which any thread may call while the object
 * lives.  SSL, SSL_CTX and X509 objects may be freed by any thread, before or
 * after staple_free.
 *
 * Fork: between staple_new and staple_start a process may fork any number of
 * times; parent and children each start, or free, their copy.  The threads that
 * staple_start makes do not exist in a child that is forked later.  There
 * nothing is fetched or saved, and a lock may be held for ever that a thread of
 * the parent had at the fork: the child must neither use an attached context in
 * a handshake nor call any function but staple_free (or exec).  staple_free
 * does not wait there and leaves the parent's threads, connections and files
 * alone. After it the child may use the contexts, and make another struct
 * staple.
 *
 * Errors: false or NULL, and one sentence in why (why_len bytes with the
 * terminator; NULL and 0: no sentence).
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

/* For a client with status_request, if no valid response is held. */
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
	STAPLE_REVOKED_STAPLE   /* staple it and go on */
};

/* The outcomes of an attempt to get a response.  staple_outcome_name returns
 * the word that logs, status and the manual use. */
enum staple_outcome {
	STAPLE_UNASKED, /* no attempt yet */

	/* responses, verified */
	STAPLE_GOOD,
	STAPLE_UNCHANGED, /* good, with the same bytes as the one held */
	STAPLE_REVOKED,
	STAPLE_UNKNOWN, /* CertStatus unknown */

	/* no request can be made */
	STAPLE_NO_RESPONDER, /* neither AIA nor a configured URL */
	STAPLE_NO_ISSUER,    /* not in the chain, nor in any store, nor at the
			     caIssuers URLs of the certificate */
	STAPLE_CERTIFICATE_EXPIRED, /* past notAfter */

	/* no connection, no response */
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
	STAPLE_SLOW_DRIP,    /* it was still coming at the time limit */

	/* an HTTP response that is no OCSP response */
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

	/* a response that must not be used */
	STAPLE_WRONG_CERTIFICATE,
	STAPLE_WRONG_SIGNER,
	STAPLE_BAD_SIGNATURE,
	STAPLE_WEAK_SIGNATURE, /* MD5 and older, RSA up to 1024 bits */
	STAPLE_EXPIRED,
	STAPLE_NOT_YET_VALID,
	STAPLE_CONTRADICTORY,       /* entries about the certificate disagree */
	STAPLE_TOO_LARGE_TO_STAPLE, /* as clients would refuse it */
	STAPLE_OLDER,               /* than the one held */

	/* local errors */
	STAPLE_FILE_UNREADABLE, /* staple_file */
	STAPLE_NO_MEMORY,

	STAPLE_OUTCOMES /* how many there are */
};

/* "good", "http_5xx", ...; constant. */
const char *staple_outcome_name(enum staple_outcome outcome);

/* Why a client with status_request got no staple. */
enum staple_unsent {
	STAPLE_UNSENT_UNWANTED, /* by policy this certificate has no staple */
	STAPLE_UNSENT_NONE,     /* no response is held */
	STAPLE_UNSENT_EXPIRED,  /* the held response has expired */
	/* It is dated in the future: the clock was set back. */
	STAPLE_UNSENT_NOT_YET_VALID,
	/* Its first entry is about another certificate, so clients with GnuTLS
	 * would refuse it; and this certificate needs no staple. */
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
	const char *certificate;     /* its name; NULL: a line of the library */
	const char *id;              /* as in staple_info; NULL: as above */
	enum staple_outcome outcome; /* STAPLE_UNASKED: no attempt */
	const char *message;         /* one sentence, or two */
};

/* A snapshot of one certificate.  Times are seconds since the epoch, 0: none.
 * Texts are escaped: safe to print. */
struct staple_info {
	char name[128];   /* the first DNS name or the common name */
	char id[65];      /* SHA-256 of the DER in hex: the file in store_dir */
	bool must_staple; /* the certificate carries the extension */
	bool wanted;      /* at least one policy requires its staple */
	unsigned responders; /* number of URLs */
	/* Why no request can be made; UNASKED: requests can be made.  The
	 * issuer is searched when the certificate becomes wanted, and is never
	 * missing before.  An issuer that can be fetched is not unavailable; a
	 * failed fetch is an outcome. */
	enum staple_outcome unavailable_reason;

	/* A good response is held and valid, or an attempt of this process has
	 * ended since the certificate was wanted. */
	bool settled;
	enum staple_outcome outcome; /* of the last attempt */
	unsigned failures;           /* attempts in a row */
	int64_t next_try;
	int64_t last_success; /* end of the last attempt that brought a good
				 response, since the certificate is watched */
	uint32_t fetches[STAPLE_OUTCOMES]; /* attempts, by outcome */
	char said[512]; /* the last attempt: each URL and its result */

	bool held;    /* a verified response; see its times */
	bool revoked; /* ...with the status revoked */
	/* Two independent answers agree.  unconfirmable: the attempt that
	 * followed got no second answer. */
	bool confirmed;
	bool unconfirmable;
	int64_t this_update; /* until five minutes before it is not sent */
	int64_t next_update; /* 0: the response has none */
	int64_t expires;     /* from this second on it is not sent */

	uint64_t asked; /* clients that sent status_request */
	uint64_t sent;
	uint64_t unsent[STAPLE_UNSENT_REASONS];
};

/* Both run on the staple thread (or in the calling thread, before
 * staple_start) with no lock held; they must not call this library's functions
 * except staple_state, staple_inspect and staple_refresh. */
typedef void staple_log_fn(void *arg, const struct staple_event *event);
typedef void staple_change_fn(void *arg, const struct staple_info *info);

/* The HTTP method that is used first.  The other one follows after an HTTP
 * error, and confirms a "revoked". */
enum staple_method {
	STAPLE_METHOD_AUTO, /* GET where its URL has at most 255 bytes (RFC
			       5019, RFC 9919), else POST */
	STAPLE_METHOD_POST,
	STAPLE_METHOD_GET /* at any length */
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
					to 32 while it is quick */
	staple_log_fn *log;          /* NULL: no lines */
	staple_change_fn *on_change; /* a change of wanted, settled, held,
				revoked, confirmed, unconfirmable, outcome or
				unavailable_reason, or of whether the held
				response is valid, for a certificate that is
				wanted, or was */
	void *arg;                   /* of both callbacks */
};

/* What is fetched: belongs to the certificate.  Copied. */
struct staple_source {
	const char *const *urls; /* instead of the certificate's own */
	size_t url_count;        /* 0: the certificate's own */
	const char *staple_file; /* a response of another tool, as DER, base64
				    or PEM; no request is sent then.  NULL:
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

/* Use other options from now on (store_dir and the callbacks stay).  Responses
 * and fetches in flight are kept. */
bool staple_configure(struct staple *staple,
    const struct staple_options *options, char *why, size_t why_len);

/*
 * Set the status callback and the policy (NULL: auto) of a context, and watch
 * every certificate in its slots, with its chain there, under that policy; the
 * source of an earlier staple_watch is kept.  Before any other thread uses the
 * context; but it may be attached again, with another policy, at any time.  A
 * context with another status callback, or one of another struct staple that is
 * not freed, is refused.
 */
bool staple_attach(struct staple *staple, SSL_CTX *context,
    const struct staple_policy *policy, char *why, size_t why_len);

/*
 * Watch one certificate for contexts with this policy (NULL: auto), which
 * decides whether its response is fetched.  chain: may contain its issuer
 * (NULL: search the stores).  source: NULL or zero: the URLs of the
 * certificate; the last call counts.  Call it before handshakes use the
 * certificate, with the same object: an equal one shares the response, but must
 * be watched as well.  Watching it again causes no request, but its staple_file
 * is checked at once: call it when that file has changed.  A certificate whose
 * staple no policy requires causes no request.  There is no detach: the entry
 * of the certificate is released when the X509 is freed.
 */
bool staple_watch(struct staple *staple, X509 *certificate,
    STACK_OF(X509) * chain, const struct staple_source *source,
    const struct staple_policy *policy, char *why, size_t why_len);

/* Start the threads.  Once in each process; see above for forks. */
bool staple_start(struct staple *staple, char *why, size_t why_len);

/* Wait until every wanted certificate is settled: true; or time is up. */
bool staple_wait(struct staple *staple, unsigned timeout_ms);

/* The state of this object, or of an equal certificate; false: not watched. */
bool staple_state(
    struct staple *staple, X509 *certificate, struct staple_info *info);

/* Fetch the responses of all wanted certificates now, within the limits. */
void staple_refresh(struct staple *staple);

/* The same for the wanted certificates with this name, or an id that begins
 * with it (lower case).  Returns how many there are. */
size_t staple_refresh_certificate(
    struct staple *staple, const char *certificate);

typedef void staple_visit_fn(void *arg, const struct staple_info *info);
/* Every certificate, one after the other, with no lock held. */
void staple_inspect(struct staple *staple, staple_visit_fn *visit, void *arg);

/* Stops the threads and drops every response: later handshakes of the contexts
 * have no staple.  In the child of a fork after staple_start
 * some memory stays allocated.  NULL is fine. */
void staple_free(struct staple *staple);

#ifdef __cplusplus
}
#endif

#endif
