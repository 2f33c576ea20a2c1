/*
 * The checksum, bit by bit: no table, as a header is summed once for each
 * connection and a handshake costs a thousand times as much.  Any thread.
 */
#include "proxy/crc32c.h"

#define POLYNOMIAL 0x82f63b78u /* Castagnoli's, lowest bit first */

uint32_t
crc32c(const uint8_t *bytes, size_t len)
{
	uint32_t sum = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		sum ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			sum = sum >> 1 ^ (sum & 1 ? POLYNOMIAL : 0);
	}
	return ~sum;
}
