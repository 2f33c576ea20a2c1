/*
 * One integer option of a socket.
 */
#ifndef TESTS_UNIT_PROXY_OPTION_H
#define TESTS_UNIT_PROXY_OPTION_H

#include <sys/socket.h>

#include <criterion/criterion.h>

static inline int
option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	cr_assert_eq(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

#endif
