/* Issuer, leaf, file: saved, read back and judged as the daemon does it. */
#include <stdlib.h>

#include "staple/cert.h"
#include "staple/response.h"
#include "tests/support/scratch.h"

#define ID "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct staple_clock noon = { 1940630400, 86400 };
	STACK_OF(X509) *chain = sk_X509_new_null();
	const uint8_t *end = data + size;
	struct staple_cert *cert = NULL;
	struct staple_result verdict;
	struct staple_bytes file;
	struct scratch scratch;
	X509 *one;

	while ((one = d2i_X509(NULL, &data, end - data)) != NULL)
		sk_X509_push(chain, one);
	if ((one = sk_X509_value(chain, 1)) != NULL)
		cert = staple_cert_new(one, chain, NULL, NULL, NULL);
	size = (size_t)(end - data);
	scratch_open(&scratch);
	if (!staple_store_write(scratch.store, ID, data, size, NULL) ||
	    !staple_store_read(scratch.store, ID, size, &file, NULL))
		abort();
	if (cert != NULL)
		staple_response_unref(staple_response_verify(
		    cert, file.data, file.len, &noon, &verdict));
	free(file.data);
	scratch_close(&scratch);
	staple_cert_unref(cert);
	sk_X509_pop_free(chain, X509_free);
	return 0;
}
