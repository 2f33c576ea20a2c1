/* Files and ports for the races of libstaple.  One thread at a time. */
#include "tests/race/staple_rig.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

enum { HOUR = 3600 };

void
rig_push(
    const char *path, const struct authority *authority, const struct pki *leaf)
{
	const int64_t now = time(NULL);
	const struct ocsp_wish wish = { .this_update = now - HOUR,
		.next_update = now + HOUR };
	struct ocsp_made made = authority_answer(authority, leaf, &wish);
	FILE *file = fopen(path, "wb");

	need(file != NULL && fwrite(made.der, made.len, 1, file) == 1 &&
		 fclose(file) == 0,
	    "the response cannot be written");
	ocsp_drop(&made);
}

int
rig_port(bool listens, char *url, size_t max)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	need(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 &&
		 getsockname(fd, (struct sockaddr *)&at, &len) == 0 &&
		 (!listens || listen(fd, 64) == 0),
	    "no port");
	snprintf(url, max, "http://127.0.0.1:%u/", ntohs(at.sin_port));
	return fd;
}
