/* What the options of a socket become. */
#include "proxy/socket.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/attr.h"
#include "tests/unit/proxy/option.h"

static const struct keepalive_row {
	const char *what;
	uint32_t keepalive_ms;
	int idle_s; /* 0: no probes */
} keepalive_rows[] = {
	{ "a minute", 60000, 60 },
	{ "rounded up", 1500, 2 },
	{ "off", 0, 0 },
	{ "never less than a second", 1, 1 },
	{ "never more than the kernel takes", UINT32_MAX, 32767 },
};

Test(socket, probes_a_silent_peer_as_told)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	for (size_t i = 0; i < ARRAY_LEN(keepalive_rows); i++) {
		const struct keepalive_row *row = &keepalive_rows[i];

		socket_set_keepalive(fd, row->keepalive_ms);
		cr_expect_eq(option(fd, SOL_SOCKET, SO_KEEPALIVE) != 0,
		    row->idle_s > 0, "%s", row->what);
		if (row->idle_s > 0)
			cr_expect_eq(option(fd, IPPROTO_TCP, TCP_KEEPIDLE),
			    row->idle_s, "%s", row->what);
	}
	close(fd);
}

Test(socket, sends_small_pieces_at_once)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_expect_not(option(fd, IPPROTO_TCP, TCP_NODELAY));
	socket_set_nodelay(fd);
	cr_expect(option(fd, IPPROTO_TCP, TCP_NODELAY));
	close(fd);
}
