/* Issuer, leaf, response: what is accepted is valid at noon and, as it is kept,
 * no longer than it came, short enough for clients, and accepted again. */
#include <stdlib.h>

#include "staple/cert.h"
#include "staple/response.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(struct staple_cert *cert, const uint8_t *der, const uint8_t *end)
{
	struct staple_clock noon = { 1940630400, 86400 };
	struct staple_result verdict;
	size_t kept, len = (size_t)(end - der);
	struct staple_response *again,
	    *response = staple_response_verify(cert, der, len, &noon, &verdict);

	if (response != NULL) {
		der = staple_response_der(response, &kept);
		again = staple_response_verify(
		    cert, der, kept, &noon, &verdict);
		if (again == NULL || !staple_response_same(response, again) ||
		    kept > len || kept > STAPLE_RESPONSE_MAX ||
		    !staple_response_is_current(response, noon.now_s))
			abort();
		staple_response_unref(again);
	}
	staple_response_unref(response);
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
	if ((one = sk_X509_value(chain, 1)) != NULL)
		check(staple_cert_new(one, chain, NULL, NULL, NULL), data, end);
	sk_X509_pop_free(chain, X509_free);
	return 0;
}
