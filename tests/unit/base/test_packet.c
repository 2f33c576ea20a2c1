/*
 * One message with its descriptors, and one that does not fit.
 */
#include "base/packet.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int pair[2], pipe_ends[2];

static void
set_up(void)
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	cr_assert_eq(pipe2(pipe_ends, O_NONBLOCK), 0);
}

TestSuite(packet, .init = set_up);

/* Send this text with `count` copies of the writing end, which is closed here. */
static void
send_text(const char *text, size_t count)
{
	int fds[8];
	const struct packet packet = { (void *)(uintptr_t)text, strlen(text),
		fds, count };

	for (size_t i = 0; i < count; i++)
		fds[i] = pipe_ends[1];
	cr_assert(packet_send(pair[0], &packet));
	close(pipe_ends[1]);
}

/* No process has the writing end any more. */
static bool
is_closed(void)
{
	char byte;

	return read(pipe_ends[0], &byte, 1) == 0;
}

Test(packet, carries_bytes_and_descriptors)
{
	char text[8];
	int fds[3];
	struct packet packet = { text, sizeof(text), fds, 3 };
	bool is_cut = true;

	send_text("hello", 3);
	cr_expect_eq(packet_receive(pair[1], &packet, &is_cut), 5);
	cr_expect_eq(packet.len, 5);
	cr_expect_eq(packet.fd_count, 3);
	cr_expect_not(is_cut);
	for (size_t i = 0; i < packet.fd_count; i++) {
		cr_expect_eq(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
		cr_expect_not(is_closed());
		close(fds[i]);
	}
	cr_expect(is_closed());
}

Test(packet, of_too_many_descriptors_keeps_those_with_room)
{
	char text[8];
	int fds[3];

	for (size_t room = 0; room <= 3; room++) {
		struct packet packet = { text, sizeof(text), fds, room };
		bool is_cut = false;

		send_text("hello", 4);
		cr_expect_eq(packet_receive(pair[1], &packet, &is_cut), 5);
		cr_expect_eq(packet.fd_count, room);
		cr_expect(is_cut);
		while (packet.fd_count > 0)
			close(fds[--packet.fd_count]);
		cr_expect(is_closed(), "room for %zu", room);
		close(pipe_ends[0]);
		cr_assert_eq(pipe2(pipe_ends, O_NONBLOCK), 0);
	}
}

Test(packet, that_is_too_long_has_its_size)
{
	char text[4];
	struct packet packet = { text, sizeof(text), NULL, 0 };
	bool is_cut = false;

	send_text("hello", 0);
	cr_expect_eq(packet_receive(pair[1], &packet, &is_cut), 5);
	cr_expect_eq(packet.len, 4);
	cr_expect(is_cut);
	cr_expect_eq(memcmp(text, "hell", 4), 0);
}

Test(packet, of_a_peer_that_is_gone_is_empty)
{
	char text[4];
	int fd = 7;
	struct packet packet = { text, sizeof(text), &fd, 1 };
	bool is_cut = true;

	close(pair[0]);
	cr_expect_eq(packet_receive(pair[1], &packet, &is_cut), 0);
	cr_expect_eq(packet.fd_count, 0);
	cr_expect_not(is_cut);
}
