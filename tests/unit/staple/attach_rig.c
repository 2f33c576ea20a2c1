/* The rig of the tests of handshakes.  Aborts the test when it fails. */
#include "tests/unit/staple/attach_rig.h"

#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "staple/attach.h"
#include "staple/cache.h"
#include "staple/response.h"
#include "staple/watch.h"

struct rig rig;

const struct rig_version rig_versions[RIG_VERSIONS] = {
	{ "TLS 1.2", TLS1_2_VERSION },
	{ "TLS 1.3", TLS1_3_VERSION },
};

const struct staple_policy rig_automatic = { .mode = STAPLE_AUTO };
const struct staple_policy rig_always = { .mode = STAPLE_ALWAYS };
const struct staple_policy rig_never = { .mode = STAPLE_NEVER };

static struct pki
issue(enum pki_key key, const char *feature)
{
	const struct pki_wish wish = { .key = key,
		.name = "a.example",
		.feature = feature,
		.aia = "OCSP;URI:http://ocsp.example/" };

	return authority_issue(&rig.authority, &wish);
}

void
rig_up(void)
{
	authority_make(&rig.authority);
	rig.leaf = issue(PKI_P256, "status_request");
	rig.other = issue(PKI_RSA, "status_request");
	rig.plain = issue(PKI_P256, NULL);
	rig.cache = staple_cache_new();
	cr_assert_not_null(rig.cache);
	rig.context = authority_context(&rig.authority, &rig.leaf);
	rig.client = shake_client();
}

void
rig_down(void)
{
	SSL_CTX_free(rig.context);
	SSL_CTX_free(rig.client);
	pki_drop(&rig.leaf);
	pki_drop(&rig.other);
	pki_drop(&rig.plain);
	staple_cache_close(rig.cache);
	staple_cache_unref(rig.cache);
	authority_drop(&rig.authority);
}

void
rig_attach(SSL_CTX *context, const struct staple_policy *policy)
{
	const struct staple_watcher watcher = { rig.cache, NULL, policy };
	struct err err;

	cr_assert(
	    staple_attach_context(&watcher, context, &err), "%s", err.text);
}

void
rig_publish(const struct pki *about, enum ocsp_status status, int left)
{
	const int64_t now = time(NULL);
	const struct ocsp_wish wish = { .status = status,
		.this_update = now - 2 * RIG_HOUR,
		.next_update = now + left,
		.revoked_at = now - 3 * RIG_HOUR };
	struct staple_response *response = authority_response(
	    &rig.authority, about, &wish);

	staple_cache_publish(staple_watch_entry(about->certificate), response);
	staple_response_unref(response);
}

struct staple_info
rig_look(const struct pki *about)
{
	struct staple_info info;

	staple_cache_read(
	    staple_watch_entry(about->certificate), time(NULL), &info);
	return info;
}

struct shaken
rig_ask(int version)
{
	const struct shake_wish wish = { .version = version, .ask = true };

	return shake(rig.context, rig.client, &wish);
}

bool
rig_is_staple(const struct shaken *shaken, const struct pki *about)
{
	struct staple_response *held = staple_cache_held(
	    staple_watch_entry(about->certificate));
	const unsigned char *der = NULL;
	size_t len = 0;
	bool same;

	if (held != NULL)
		der = staple_response_der(held, &len);
	same = der != NULL && shaken->staple != NULL && len == shaken->len &&
	       memcmp(der, shaken->staple, len) == 0;
	staple_response_unref(held);
	return same;
}
