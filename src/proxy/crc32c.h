/*
 * CRC-32C (Castagnoli, RFC 9260 appendix A), for the PROXY protocol: bitwise, as
 * a header is a few hundred bytes.  Any thread.
 */
#ifndef PROXY_CRC32C_H
#define PROXY_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(const uint8_t *bytes, size_t len);

#endif
