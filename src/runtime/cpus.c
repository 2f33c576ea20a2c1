/*
 * CPU count as the scheduler and the container see it.  A quota of 150 % on
 * 64 CPUs means two threads, not 64: threads beyond the quota only get us
 * throttled in the middle of a handshake.  Any thread.  Both cgroup versions
 * are read from where a container finds its own group mounted, and version 2
 * also from the path in /proc/self/cgroup upwards, because any parent's quota
 * binds as well.
 */
#include "runtime/cpus.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CGROUP_ROOT "/sys/fs/cgroup"
#define PATH_BYTES 4096

bool
cpus_parse_quota(const char *text, unsigned *cpus)
{
	long long quota, period;

	if (sscanf(text, "%lld %lld", &quota, &period) != 2)
		return false;
	if (quota <= 0 || period <= 0)
		return false;
	quota = (quota - 1) / period + 1;
	*cpus = quota > (long long)CPUS_MAX ? CPUS_MAX : (unsigned)quota;
	return true;
}

static bool
read_line(const char *path, char *line, size_t max)
{
	FILE *file = fopen(path, "re");
	bool got;

	if (file == NULL)
		return false;
	got = fgets(line, (int)max, file) != NULL;
	fclose(file);
	return got;
}

static void
lower_to_quota(unsigned *cpus, const char *text)
{
	unsigned quota;

	if (cpus_parse_quota(text, &quota) && quota < *cpus)
		*cpus = quota;
}

/* Version 2: our own group and each above it. */
static void
apply_version_2(unsigned *cpus)
{
	char group[PATH_BYTES], path[PATH_BYTES + 64], line[128];
	char *cut;

	if (!read_line("/proc/self/cgroup", group, sizeof(group)))
		return;
	if (strncmp(group, "0::/", 4) != 0)
		return;
	group[strcspn(group, "\n")] = '\0';
	memmove(group, group + 3, strlen(group + 3) + 1);
	while ((cut = strrchr(group, '/')) != NULL) {
		snprintf(path, sizeof(path), CGROUP_ROOT "%s%scpu.max", group,
		    cut[1] ? "/" : "");
		if (read_line(path, line, sizeof(line)))
			lower_to_quota(cpus, line);
		if (cut[1] == '\0')
			return;
		/* The last turn asks for the root, "/". */
		cut[cut == group ? 1 : 0] = '\0';
	}
}

static void
apply_version_1(unsigned *cpus)
{
	char quota[64], period[64], both[130];

	if (!read_line(
		CGROUP_ROOT "/cpu/cpu.cfs_quota_us", quota, sizeof(quota)) ||
	    !read_line(
		CGROUP_ROOT "/cpu/cpu.cfs_period_us", period, sizeof(period)))
		return;
	snprintf(both, sizeof(both), "%s %s", quota, period);
	lower_to_quota(cpus, both);
}

static unsigned
count_affinity(void)
{
	cpu_set_t set;
	long online;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		return (unsigned)CPU_COUNT(&set);
	/* More CPUs than cpu_set_t has bits. */
	online = sysconf(_SC_NPROCESSORS_ONLN);
	return online > 0 ? (unsigned)online : 1;
}

unsigned
cpus_count(void)
{
	unsigned cpus = count_affinity();

	apply_version_2(&cpus);
	apply_version_1(&cpus);
	if (cpus < 1)
		return 1;
	return cpus > CPUS_MAX ? CPUS_MAX : cpus;
}
