/*
 * The TLS client of `clinch healthcheck`.  The caller's thread.  It offers all
 * ciphers of OpenSSL, weak ones included: a handshake must not fail because the
 * listener's policy is unusual.  The one restriction is the kind of certificate,
 * which a client can express only by the signature algorithms that it offers.
 */
#include "tls/probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "tls/error.h"
#include "tls/identity.h"

struct probe {
	SSL *ssl;
	bool handshake_done;
	struct probe_result result;
};

/* By kind of certificate (RFC 8446 section 4.2.3). */
static const char *const algorithms[IDENTITY_KINDS] = {
	[IDENTITY_RSA] = "rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:"
			 "rsa_pss_rsae_sha512:rsa_pkcs1_sha256:"
			 "rsa_pkcs1_sha384:rsa_pkcs1_sha512",
	[IDENTITY_RSA_PSS] = "rsa_pss_pss_sha256:rsa_pss_pss_sha384:"
			     "rsa_pss_pss_sha512",
	[IDENTITY_ECDSA] = "ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:"
			   "ecdsa_secp521r1_sha512",
	[IDENTITY_ED25519] = "ed25519",
	[IDENTITY_ED448] = "ed448",
};

/* ---- Callbacks ---- */

static void
on_info(const SSL *ssl, int where, int value)
{
	struct probe *probe = SSL_get_app_data(ssl);

	if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT &&
	    (value & 0xff) != SSL_AD_CLOSE_NOTIFY)
		probe->result.alert = value & 0xff;
}

/* The server sent a CertificateRequest; answer it with no certificate. */
static int
on_request(SSL *ssl, X509 **certificate, EVP_PKEY **key)
{
	struct probe *probe = SSL_get_app_data(ssl);

	(void)certificate;
	(void)key;
	probe->result.certificate_requested = true;
	return 0;
}

/* ---- Set-up ---- */

/* The macros over SSL_ctrl cast a const text to char *, hence the copy. */
static bool
set_text(SSL *ssl, int command, long type, const char *text)
{
	char *copy = strdup(text);
	bool set = copy != NULL && SSL_ctrl(ssl, command, type, copy) == 1;

	free(copy);
	return set;
}

/* A list that OpenSSL refuses is left out, and the default stays: the probe is
 * not the place to report an error of the configuration. */
static void
set_lists(SSL *ssl, const struct probe_options *options)
{
	if (options->groups != NULL)
		(void)set_text(
		    ssl, SSL_CTRL_SET_GROUPS_LIST, 0, options->groups);
	if (options->ciphersuites != NULL)
		(void)SSL_set_ciphersuites(ssl, options->ciphersuites);
	tls_error_clear();
}

static bool
set_options(SSL *ssl, const struct probe_options *options)
{
	static const unsigned char alpn[] =
	    "\x12" STREAM_CHECK_PROTOCOL; /* RFC 7301 section 3.1 */

	_Static_assert(sizeof(STREAM_CHECK_PROTOCOL) - 1 == 0x12,
	    "the length in front of the protocol");
	set_lists(ssl, options);
	return SSL_set_min_proto_version(ssl, TLS1_2_VERSION) == 1 &&
	       SSL_set_max_proto_version(ssl, 0) == 1 &&
	       SSL_set_cipher_list(ssl, "ALL:!aNULL:!eNULL") == 1 &&
	       SSL_set_alpn_protos(ssl, alpn, sizeof(alpn) - 1) == 0 &&
	       SSL_set_tlsext_status_type(ssl, TLSEXT_STATUSTYPE_ocsp) == 1 &&
	       (options->name[0] == '\0' ||
		   set_text(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME,
		       TLSEXT_NAMETYPE_host_name, options->name)) &&
	       (options->kind == IDENTITY_KINDS ||
		   set_text(ssl, SSL_CTRL_SET_SIGALGS_LIST, 0,
		       algorithms[options->kind]));
}

static SSL *
make_ssl(void)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl;

	if (context == NULL)
		return NULL;
	SSL_CTX_set_security_level(context, 0);
	SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_info_callback(context, on_info);
	SSL_CTX_set_client_cert_cb(context, on_request);
	ssl = SSL_new(context);
	SSL_CTX_free(context); /* the SSL has a reference */
	return ssl;
}

struct probe *
probe_new(int fd, const struct probe_options *options, struct err *err)
{
	struct probe *probe = calloc(1, sizeof(*probe));

	if (probe == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	tls_error_clear();
	probe->ssl = make_ssl();
	if (probe->ssl != NULL && SSL_set_app_data(probe->ssl, probe) == 1 &&
	    set_options(probe->ssl, options) && SSL_set_fd(probe->ssl, fd) == 1)
		return probe;
	tls_error_set(err, "no TLS client");
	probe_free(probe);
	return NULL;
}

void
probe_free(struct probe *probe)
{
	if (probe == NULL)
		return;
	chain_drop(&probe->result.chain);
	SSL_free(probe->ssl);
	free(probe);
}

/* ---- The result ---- */

/* Keep the chain and the staple that the server sent, also if the handshake
 * failed later.  false: no memory. */
static bool
keep_sent(struct probe *probe)
{
	STACK_OF(X509) *sent = SSL_get_peer_cert_chain(probe->ssl);
	struct chain *chain = &probe->result.chain;
	const unsigned char *staple = NULL;
	long len = SSL_get_tlsext_status_ocsp_resp(probe->ssl, &staple);

	if (staple != NULL && len > 0) {
		probe->result.staple = staple;
		probe->result.staple_len = (size_t)len;
	}
	chain->rest = sk_X509_new_null();
	for (int i = 0; chain->rest != NULL && i < sk_X509_num(sent); i++) {
		X509 *one = sk_X509_value(sent, i);

		if (i > 0 && sk_X509_push(chain->rest, one) <= 0)
			return false;
		X509_up_ref(one);
		if (i == 0)
			chain->leaf = one;
	}
	return chain->rest != NULL;
}

static enum io
end(struct probe *probe, enum probe_end how, const char *text)
{
	probe->result.end = how;
	err_set(&probe->result.why, "%s", text);
	if (!keep_sent(probe)) {
		probe->result.end = PROBE_FAILED;
		err_set(&probe->result.why, "out of memory");
	}
	tls_error_clear();
	return IO_DONE;
}

static enum io
end_alert(struct probe *probe)
{
	char text[128];

	snprintf(text, sizeof(text), "the handshake was refused: alert %s (%d)",
	    SSL_alert_desc_string_long(probe->result.alert),
	    probe->result.alert);
	return end(probe, PROBE_ALERT, text);
}

/* The handshake failed before a ServerHello: the server does not use TLS. */
static bool
is_not_tls(const SSL *ssl, unsigned long code)
{
	return ERR_GET_LIB(code) == ERR_LIB_SSL &&
	       SSL_get_state(ssl) == TLS_ST_CW_CLNT_HELLO;
}

static enum io
end_error(struct probe *probe, int why, int errnum)
{
	unsigned long code = tls_error_take();

	if (probe->result.alert != 0)
		return end_alert(probe);
	if (ERR_GET_LIB(code) == ERR_LIB_SSL &&
	    ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return end(probe, PROBE_CLOSED,
		    "the connection was closed without an alert");
	if (why == SSL_ERROR_SYSCALL &&
	    (errnum == 0 || errnum == ECONNRESET || errnum == EPIPE))
		return end(probe, PROBE_CLOSED,
		    "the connection was reset without an alert");
	if (why == SSL_ERROR_SYSCALL)
		return end(probe, PROBE_FAILED, strerror(errnum));
	if (is_not_tls(probe->ssl, code))
		return end(probe, PROBE_NOT_TLS, "the server does not use TLS");
	return end(probe, PROBE_FAILED, tls_error_reason(code));
}

static bool
is_clinch(const SSL *ssl)
{
	const unsigned char *alpn = NULL;
	unsigned len = 0;

	SSL_get0_alpn_selected(ssl, &alpn, &len);
	return len > 0;
}

static enum io
interpret(struct probe *probe, int result, int errnum)
{
	int why = SSL_get_error(probe->ssl, result);

	switch (why) {
	case SSL_ERROR_WANT_READ:
		return IO_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return IO_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return end(probe, PROBE_ACCEPTED, "accepted");
	default:
		return end_error(probe, why, errnum);
	}
}

/* Wait for close_notify.  A server that sends data before it is not clinch. */
static enum io
await_end(struct probe *probe)
{
	char byte;
	int result;

	if (is_clinch(probe->ssl)) {
		errno = 0;
		result = SSL_read(probe->ssl, &byte, 1);
		if (result <= 0)
			return interpret(probe, result, errno);
	}
	(void)SSL_shutdown(probe->ssl);
	return end(probe, PROBE_OTHER,
	    "the answer is from another TLS server, or from a clinch without "
	    "health checks");
}

enum io
probe_step(struct probe *probe)
{
	int result;

	tls_error_clear();
	if (!probe->handshake_done) {
		errno = 0;
		result = SSL_connect(probe->ssl);
		if (result != 1)
			return interpret(probe, result, errno);
		probe->handshake_done = true;
	}
	return await_end(probe);
}

const struct probe_result *
probe_result(const struct probe *probe)
{
	return &probe->result;
}

/* ---- Server names ---- */

void
probe_name_for(char name[PROBE_NAME_MAX], const char *pattern)
{
	static const char label[] = "healthcheck";
	bool wild = pattern[0] == '*';

	/* A long pattern leaves no room for the label (RFC 1035 section 2.3.4). */
	if (wild && strlen(pattern) + strlen(label) >= PROBE_NAME_MAX - 2)
		snprintf(name, PROBE_NAME_MAX, "x%s", pattern + 1);
	else
		snprintf(name, PROBE_NAME_MAX, "%s%s", wild ? label : "",
		    pattern + wild);
}

bool
probe_read_cert(const char *path, enum identity_kind *kind,
    char name[PROBE_NAME_MAX], struct err *err)
{
	char pattern[IDENTITY_PATTERN_MAX];

	name[0] = '\0';
	if (!identity_peek(path, kind, pattern, err))
		return false;
	if (pattern[0] != '\0')
		probe_name_for(name, pattern);
	return true;
}
