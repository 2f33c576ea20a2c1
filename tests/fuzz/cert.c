/* Any bytes as a chain: only sound URLs and printable texts come of it. */
#include <stdlib.h>
#include <string.h>

#include "staple/cert.h"
#include "staple/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(struct staple_cert *cert)
{
	const char *why, *name = cert->name, *hint = cert->hint;

	for (size_t i = 0; i < cert->url_count; i++)
		if (!staple_url_check(
			cert->urls[i], strlen(cert->urls[i]), &why))
			abort();
	while (*name >= ' ' && *name <= '~')
		name++;
	while (*hint >= ' ' && *hint <= '~')
		hint++;
	if (*name != '\0' || *hint != '\0')
		abort();
	staple_cert_unref(cert);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	STACK_OF(X509) *chain = sk_X509_new_null();
	const uint8_t *end = data + size;
	X509 *one;

	while ((one = d2i_X509(NULL, &data, end - data)) != NULL)
		sk_X509_push(chain, one);
	if ((one = sk_X509_value(chain, 0)) != NULL)
		check(staple_cert_new(one, chain, NULL, NULL, NULL));
	sk_X509_pop_free(chain, X509_free);
	return 0;
}
