/*
 * The modes made of requests and answers: one per connection (handshake), in
 * turns without end (ping), by the clock (latency), one and then silence
 * (idle).  A request is options.size bytes, and so is its answer.
 */
#include "load.h"

#include <sys/epoll.h>
#include <time.h>

uint64_t
load_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void
exchange_start(struct client *c)
{
	c->to_write = c->to_read = c->load->options.size;
}

/* STEP_DONE once the whole answer has come. */
static enum step
exchange_step(struct client *c)
{
	struct load *l = c->load;
	enum step result = STEP_WAIT;
	size_t got;

	if (c->to_write) {
		c->asked_at = load_now();
		if (!client_write(c, l->message, c->to_write, &result))
			return result;
		c->to_write = 0;
		/* No answer can have come yet: do not even try. */
		client_want(c, EPOLLIN);
		return STEP_WAIT;
	}
	while (c->to_read) {
		if (!client_read(c, l->scratch, c->to_read, &got, &result))
			return result;
		c->to_read -= got;
		l->count.bytes += got;
	}
	l->count.ops++;
	return STEP_DONE;
}

/* No request is pending, but the far side may still send or end. */
static enum step
listen_only(struct client *c)
{
	enum step result = STEP_WAIT;
	size_t got;

	while (client_read(c, c->load->scratch, LOAD_SCRATCH, &got, &result))
		c->load->count.bytes += got;
	return result;
}

static enum step
ping_step(struct client *c)
{
	enum step result = exchange_step(c);

	if (result != STEP_DONE || load_is_done(c->load))
		return result;
	exchange_start(c);
	return exchange_step(c);
}

static enum step
idle_step(struct client *c)
{
	enum step result;

	if (c->to_read == 0)
		return listen_only(c);
	result = exchange_step(c);
	return result == STEP_DONE ? listen_only(c) : result;
}

static void
count_latency(struct client *c)
{
	uint64_t us = (load_now() - c->asked_at) / 1000;

	c->load->latency[us < LOAD_BINS ? us : LOAD_BINS - 1]++;
}

static enum step
latency_step(struct client *c)
{
	enum step result;

	if (c->to_read == 0)
		return listen_only(c);
	result = exchange_step(c);
	if (result != STEP_DONE)
		return result;
	count_latency(c);
	return STEP_WAIT;
}

static void
begin_nothing(struct client *c)
{
	c->to_write = c->to_read = 0;
}

void
exchange_tick(struct load *l)
{
	for (size_t i = 0; i < l->options.clients; i++) {
		struct client *c = &l->clients[l->turn++ % l->options.clients];

		if (c->fd < 0 || !c->ready || c->to_read)
			continue;
		exchange_start(c);
		client_step(c);
		return;
	}
}

const struct mode mode_handshake = {
	.name = "handshake",
	.command = 'e',
	.reconnects = true,
	.begin = exchange_start,
	.step = exchange_step,
};

const struct mode mode_ping = {
	.name = "ping",
	.command = 'e',
	.begin = exchange_start,
	.step = ping_step,
};

const struct mode mode_latency = {
	.name = "latency",
	.command = 'e',
	.paced = true,
	.begin = begin_nothing,
	.step = latency_step,
};

const struct mode mode_idle = {
	.name = "idle",
	.command = 'e',
	.begin = exchange_start,
	.step = idle_step,
};
