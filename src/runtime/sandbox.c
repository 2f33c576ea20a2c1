/*
 * The sandbox.  Main thread, before any other thread: both Landlock and seccomp
 * are inherited by the threads that are made afterwards, and by those alone.
 *
 * Landlock rules name folders and not files, because a renewed certificate is
 * another file: see sandbox_folders_of().  The seccomp filter denies a list of
 * calls instead of allowing one.  What libc, OpenSSL and libcurl call changes
 * with their versions, so a list of allowed calls would break a start after an
 * update; none of the calls below is part of serving TLS.
 *
 * The kernel's header of Debian 12 has the first two of the seven versions of
 * Landlock, so that later rights are defined here.
 */
#include "runtime/sandbox.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "config/config.h"
#include "config/strings.h"
#include "runtime/cert_slot.h"
#include "tls/ca_store.h"

#ifdef __has_feature
#define HAS_FEATURE(name) __has_feature(name)
#else
#define HAS_FEATURE(name) 0
#endif
/* LeakSanitizer stops its own process by ptrace. */
#if defined(__SANITIZE_ADDRESS__) || HAS_FEATURE(address_sanitizer)
#define MAY_TRACE_ITSELF true
#else
#define MAY_TRACE_ITSELF false
#endif

#define LINKS_MAX 40 /* as the kernel's MAXSYMLINKS */

struct sandbox {
	bool confines; /* Landlock is in force */
	struct sandbox_folders folders;
};

/* ---- Folders ---- */

void
sandbox_folders_free(struct sandbox_folders *folders)
{
	size_t i;

	for (i = 0; i < folders->count; i++)
		free(folders->items[i].path);
	free(folders->items);
	*folders = (struct sandbox_folders){ 0 };
}

static bool
grow(struct sandbox_folders *folders)
{
	size_t room = folders->room ? 2 * folders->room : 16;
	struct sandbox_folder *items;

	if (folders->count < folders->room)
		return true;
	items = realloc(folders->items, room * sizeof(items[0]));
	if (items == NULL)
		return false;
	folders->items = items;
	folders->room = room;
	return true;
}

/* Add a folder (or file) without symlinks, or more access to it.  One that does
 * not exist is left out. */
static bool
add_folder(struct sandbox_folders *folders, const char *path, unsigned access)
{
	struct sandbox_folder *item;
	struct stat status;
	size_t i;

	if (stat(path, &status) != 0)
		return true;
	/* The last ones first: certificates of one folder follow each other. */
	for (i = folders->count; i > 0; i--) {
		item = &folders->items[i - 1];
		if (item->dev == status.st_dev && item->ino == status.st_ino) {
			item->access |= access;
			return true;
		}
	}
	if (!grow(folders))
		return false;
	item = &folders->items[folders->count];
	*item = (struct sandbox_folder){
		.path = strdup(path),
		.access = access,
		.dev = status.st_dev,
		.ino = status.st_ino,
	};
	folders->count += item->path != NULL;
	return item->path != NULL;
}

/* ---- The way to a path ---- */

/* Follows a path, component by component. */
struct way {
	char real[PATH_MAX]; /* so far, without symlinks; "": the root */
	unsigned links;
	struct sandbox_folders *folders; /* NULL: only follow */
	unsigned access;                 /* to what is held */
	bool is_tree;                    /* and to the folders beside it */
	bool failed;                     /* no memory */
};

static void
leave(struct way *way)
{
	char *slash = strrchr(way->real, '/');

	if (slash)
		*slash = '\0';
}

static void
hold(struct way *way, const char *path)
{
	if (way->folders && !add_folder(way->folders, path, way->access))
		way->failed = true;
}

/* The folder that is reached, and the one above it if new folders may appear
 * there. */
static void
hold_folder(struct way *way)
{
	char above[PATH_MAX];
	char *slash;

	hold(way, way->real);
	if (!way->is_tree)
		return;
	strcpy(above, way->real);
	slash = strrchr(above, '/');
	*slash = '\0';
	if (above[0] != '\0')
		hold(way, above);
}

static bool follow(struct way *way, const char *path, bool hold_last);

/* One component.  is_held: the folder that holds it counts. */
static bool
step(struct way *way, const char *name, bool is_held)
{
	char target[PATH_MAX];
	size_t length = strlen(way->real);
	ssize_t n;

	if (strcmp(name, ".") == 0)
		return true;
	if (strcmp(name, "..") == 0) {
		leave(way);
		return true;
	}
	if (is_held && length > 0)
		hold_folder(way);
	if (length + strlen(name) + 2 > sizeof(way->real))
		return false;
	way->real[length] = '/';
	strcpy(way->real + length + 1, name);
	n = readlink(way->real, target, sizeof(target) - 1);
	if (n < 0) {
		/* The root folder would be everything. */
		if (is_held && length == 0)
			hold(way, way->real);
		return true;
	}
	target[n] = '\0';
	leave(way);
	return way->links++ < LINKS_MAX && follow(way, target, true);
}

/* hold_last: the folder that holds the last component counts. */
static bool
follow(struct way *way, const char *path, bool hold_last)
{
	char name[NAME_MAX + 1];
	size_t length;

	if (path[0] == '/')
		way->real[0] = '\0';
	while (*(path += strspn(path, "/")) != '\0') {
		length = strcspn(path, "/");
		if (length >= sizeof(name))
			return false;
		memcpy(name, path, length);
		name[length] = '\0';
		path += length;
		if (!step(way, name,
			hold_last && path[strspn(path, "/")] == '\0'))
			return false;
	}
	return true;
}

/* Begin at the root or the working folder. */
static bool
begin(struct way *way, const char *path)
{
	way->real[0] = '\0';
	way->links = 0;
	if (path[0] == '/')
		return true;
	if (getcwd(way->real, sizeof(way->real)) == NULL)
		return false;
	if (strcmp(way->real, "/") == 0)
		way->real[0] = '\0';
	return true;
}

/* The real path, in way->real.  false: too long, or too many links. */
static bool
find_real(struct way *way, const char *path)
{
	*way = (struct way){ .folders = NULL };
	return begin(way, path) && follow(way, path, false);
}

/* Hold the folder of a file, and those of the links on the way to it. */
static bool
hold_file(struct sandbox_folders *folders, const char *path, unsigned access)
{
	struct way way = { .folders = folders, .access = access };

	(void)(begin(&way, path) && follow(&way, path, true));
	return !way.failed;
}

/* Hold a folder itself. */
static bool
hold_tree(struct sandbox_folders *folders, const char *path, unsigned access)
{
	struct way way = { .folders = folders, .access = ACCESS_READ };

	if (!begin(&way, path) || !follow(&way, path, false) ||
	    way.real[0] == '\0')
		return !way.failed;
	return !way.failed && add_folder(folders, way.real, access);
}

/* ---- The folders of a configuration ---- */

static unsigned
access_of(enum config_path_use use)
{
	switch (use) {
	case PATH_LOG:
	case PATH_SOCKET:
	case PATH_STORE:
		return ACCESS_READ | ACCESS_WRITE;
	case PATH_PID:
		return ACCESS_REMOVE;
	default:
		return ACCESS_READ;
	}
}

/* Is it the folder itself that is used, and not the one that holds it? */
static bool
is_folder(enum config_path_use use, const char *path)
{
	struct stat status;

	return use == PATH_STORE || use == PATH_INCLUDE ||
	       (use == PATH_FOLDER && file_stat(path, &status) == 0 &&
		   S_ISDIR(status.st_mode));
}

/* A cert_dir: what its links lead to, such as certbot's archive/. */
static bool
hold_linked(struct sandbox_folders *folders, const char *path)
{
	struct way way = {
		.folders = folders,
		.access = ACCESS_READ,
		.is_tree = true,
	};
	struct cert_dir list;
	struct err err;
	size_t i;

	(void)!cert_dir_list(&list, path, &err); /* the build reports it */
	for (i = 0; i < list.count; i++) {
		(void)(begin(&way, list.items[i].cert) &&
		       follow(&way, list.items[i].cert, false));
		(void)(begin(&way, list.items[i].key) &&
		       follow(&way, list.items[i].key, false));
	}
	cert_dir_free(&list);
	return !way.failed;
}

struct gathering {
	struct sandbox_folders *folders;
	bool failed;
};

static void
gather(void *arg, const char *path, enum config_path_use use,
    const struct config_where *where)
{
	struct gathering *gathering = arg;
	struct sandbox_folders *folders = gathering->folders;

	(void)where;
	if (!(is_folder(use, path) ? hold_tree : hold_file)(
		folders, path, access_of(use)) ||
	    (use == PATH_FOLDER && !hold_linked(folders, path)))
		gathering->failed = true;
}

bool
sandbox_folders_of(const struct config *config, struct sandbox_folders *folders)
{
	struct gathering gathering = { folders, false };

	*folders = (struct sandbox_folders){ 0 };
	config_each_path(config, gather, &gathering);
	return !gathering.failed;
}

/* A list of folders, separated by colons. */
static bool
hold_list(struct sandbox_folders *folders, const char *list)
{
	char path[PATH_MAX];
	bool good = true;
	size_t length;

	for (; *list != '\0'; list += length + (list[length] == ':')) {
		length = strcspn(list, ":");
		if (length == 0 || length >= sizeof(path))
			continue;
		memcpy(path, list, length);
		path[length] = '\0';
		good &= hold_tree(folders, path, ACCESS_READ);
	}
	return good;
}

/* An OpenSSL that is not the distribution's may have its folders anywhere. */
static bool
add_openssl(struct sandbox_folders *folders)
{
	const char *list = getenv("SSL_CERT_DIR");
	const char *path;
	unsigned i;

	for (i = 0; (path = ca_store_default_path(i)) != NULL; i++)
		if (!hold_tree(folders, path, ACCESS_READ))
			return false;
	return list == NULL || hold_list(folders, list);
}

/* What libraries read, whatever the configuration is: names of hosts, times,
 * CA certificates, plugins of libc; /proc and /sys for counters and CPUs. */
static bool
add_system(struct sandbox_folders *folders)
{
	static const char *const trees[] = { "/etc", "/usr/lib", "/usr/lib64",
		"/usr/local/lib", "/usr/share", "/usr/local/share", "/lib",
		"/lib64", "/proc", "/sys/fs/cgroup", "/sys/devices/system/cpu",
		"/var/lib/ca-certificates", "/dev/urandom", "/dev/random" };
	static const char *const files[] = { "/etc/resolv.conf", "/etc/hosts",
		"/etc/localtime", "/etc/nsswitch.conf" };
	static const char *const variables[] = { "SSL_CERT_FILE",
		"OPENSSL_CONF", "OPENSSL_MODULES" };
	const char *path;
	bool good = add_openssl(folders);
	size_t i;

	for (i = 0; i < ARRAY_LEN(trees); i++)
		good &= hold_tree(folders, trees[i], ACCESS_READ);
	/* They are often links to /run. */
	for (i = 0; i < ARRAY_LEN(files); i++)
		good &= hold_file(folders, files[i], ACCESS_READ);
	for (i = 0; i < ARRAY_LEN(variables); i++) {
		path = getenv(variables[i]);
		if (path)
			good &= hold_tree(folders, path, ACCESS_READ);
	}
	return good &&
	       add_folder(folders, "/dev/null", ACCESS_READ | ACCESS_WRITE);
}

/* ---- The program of an upgrade ---- */

/* The loader of this program: PT_INTERP. */
static int
find_loader(struct dl_phdr_info *info, size_t size, void *out)
{
	const char **path = out;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_INTERP)
			*path = (const char *)(info->dlpi_addr +
					       info->dlpi_phdr[i].p_vaddr);
	return 1; /* the first one is the program */
}

static bool
add_program(struct sandbox_folders *folders, const char *path)
{
	const unsigned access = ACCESS_READ | ACCESS_EXECUTE;
	const char *loader = NULL;

	dl_iterate_phdr(find_loader, &loader);
	return hold_file(folders, path, access) &&
	       (loader == NULL || hold_file(folders, loader, access));
}

/* ---- Landlock ---- */

#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

#define RIGHTS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define RIGHTS_WRITE                                                       \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE |     \
	    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |    \
	    LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_DIR | \
	    LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REFER)
#define RIGHTS_OF_FILES                                                 \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | \
	    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_TRUNCATE)

/* The rights that this version of Landlock can deny: all that it has. */
static uint64_t
rights_of_version(long version)
{
	static const unsigned counts[] = { 0, 13, 14, 15, 15, 16 };
	size_t last = ARRAY_LEN(counts) - 1;
	size_t i = version < (long)last ? (size_t)version : last;

	return (1ULL << counts[i]) - 1;
}

static uint64_t
rights_of(const struct sandbox_folder *folder, bool is_file)
{
	uint64_t rights = 0;

	if (folder->access & ACCESS_READ)
		rights |= RIGHTS_READ;
	if (folder->access & ACCESS_EXECUTE)
		rights |= LANDLOCK_ACCESS_FS_EXECUTE;
	if (folder->access & ACCESS_WRITE)
		rights |= RIGHTS_WRITE;
	if (folder->access & ACCESS_REMOVE)
		rights |= LANDLOCK_ACCESS_FS_REMOVE_FILE;
	return is_file ? rights & RIGHTS_OF_FILES : rights;
}

/* A folder that has disappeared needs no rule. */
static bool
add_rule(int ruleset, const struct sandbox_folder *folder, uint64_t handled)
{
	struct landlock_path_beneath_attr rule = { .parent_fd = -1 };
	struct stat status;
	bool added;

	rule.parent_fd = open(folder->path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return true;
	added = fstat(rule.parent_fd, &status) == 0;
	rule.allowed_access = handled &
			      rights_of(folder, !S_ISDIR(status.st_mode));
	added = added && syscall(SYS_landlock_add_rule, ruleset,
			     LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
	close(rule.parent_fd);
	return added;
}

static bool
restrict_to(
    int ruleset, const struct sandbox_folders *folders, uint64_t handled)
{
	size_t i;

	for (i = 0; i < folders->count; i++)
		if (!add_rule(ruleset, &folders->items[i], handled))
			return false;
	return syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
}

/* Returns the version in force; 0: none, errno. */
static long
confine(const struct sandbox_folders *folders)
{
	struct landlock_ruleset_attr rules = { 0 };
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0,
	    LANDLOCK_CREATE_RULESET_VERSION);
	int ruleset;
	bool good;

	if (version <= 0)
		return 0;
	rules.handled_access_fs = rights_of_version(version);
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules,
	    sizeof(rules.handled_access_fs), 0);
	if (ruleset < 0)
		return 0;
	good = restrict_to(ruleset, folders, rules.handled_access_fs);
	file_close(ruleset);
	return good ? version : 0;
}

/* ---- System calls ---- */

#if defined(__x86_64__)
#define THIS_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define THIS_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define THIS_ARCH AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
#define THIS_ARCH AUDIT_ARCH_PPC64LE
#elif defined(__s390x__)
#define THIS_ARCH AUDIT_ARCH_S390X
#endif

#ifdef THIS_ARCH

/* Other processes, the kernel itself, mounts and namespaces, other ways to do
 * any of it. */
static const int denied[] = { SYS_execve, SYS_execveat, SYS_ptrace,
	SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp, SYS_bpf,
	SYS_perf_event_open, SYS_userfaultfd, SYS_kexec_load, SYS_init_module,
	SYS_finit_module, SYS_delete_module, SYS_mount, SYS_umount2,
	SYS_pivot_root, SYS_chroot, SYS_move_mount, SYS_open_tree, SYS_fsopen,
	SYS_fsmount, SYS_unshare, SYS_setns, SYS_add_key, SYS_request_key,
	SYS_keyctl, SYS_open_by_handle_at, SYS_io_uring_setup, SYS_settimeofday,
	SYS_clock_settime, SYS_acct, SYS_swapon, SYS_swapoff, SYS_reboot,
	SYS_sethostname, SYS_setdomainname,
#ifdef SYS_kexec_file_load
	SYS_kexec_file_load,
#endif
#ifdef SYS_pidfd_getfd
	SYS_pidfd_getfd,
#endif
#ifdef SYS_process_madvise
	SYS_process_madvise,
#endif
#ifdef SYS_mount_setattr
	SYS_mount_setattr,
#endif
	SYS_fsconfig, SYS_fspick };

/* The first two start a program. */
static const int *
first_denied(bool may_execute)
{
	return may_execute ? denied + 2 : denied;
}

static bool
is_denied(int call)
{
	return call != SYS_ptrace || !MAY_TRACE_ITSELF;
}

#define DENY BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define LOAD(field) \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))

/* Returns how many calls are denied; 0: the kernel has no filters. */
static unsigned
filter_calls(bool may_execute)
{
	/* Calls of another architecture, and of x32, have other numbers. */
	struct sock_filter code[8 + 2 * ARRAY_LEN(denied)] = {
		LOAD(arch),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, THIS_ARCH, 1, 0),
		DENY,
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1),
		DENY,
	};
	struct sock_fprog program = { .len = 6, .filter = code };
	const int *call = first_denied(may_execute);
	unsigned count = 0;

	for (; call < denied + ARRAY_LEN(denied); call++) {
		if (!is_denied(*call))
			continue;
		code[program.len++] = (struct sock_filter)BPF_JUMP(
		    BPF_JMP | BPF_JEQ | BPF_K, (unsigned)*call, 0, 1);
		code[program.len++] = (struct sock_filter)DENY;
		count++;
	}
	code[program.len++] = (struct sock_filter)ALLOW;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0)
		return 0;
	return count;
}

#else

static unsigned
filter_calls(bool may_execute)
{
	(void)may_execute;
	errno = ENOSYS;
	return 0;
}

#endif

/* ---- Core dumps ---- */

/* A dump has the private keys.  A process that cannot be dumped cannot be traced
 * by another one of its user either. */
static bool
forbid_dumps(void)
{
	const struct rlimit none = { 0, 0 };

	return setrlimit(RLIMIT_CORE, &none) == 0 &&
	       (MAY_TRACE_ITSELF || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);
}

/* ---- What is inside ---- */

static bool
has_folder(
    const struct sandbox_folders *folders, const char *path, unsigned access)
{
	const struct sandbox_folder *item;
	struct stat status;
	size_t i;

	if (stat(path, &status) != 0)
		return false;
	for (i = 0; i < folders->count; i++) {
		item = &folders->items[i];
		if (item->dev == status.st_dev && item->ino == status.st_ino &&
		    (item->access & access) == access)
			return true;
	}
	return false;
}

/* Is this file or folder, or one above it, allowed? */
static bool
covers(const struct sandbox *sandbox, const char *real, unsigned access)
{
	char path[PATH_MAX];
	char *slash;

	snprintf(path, sizeof(path), "%s", real);
	while (!has_folder(&sandbox->folders, path, access)) {
		slash = strrchr(path, '/');
		if (slash == NULL)
			return false;
		*slash = '\0';
	}
	return true;
}

#define OUTSIDE                                                                 \
	"is outside the sandbox of this start: restart clinch, or set sandbox " \
	"= off"

static const char *
explain_denial(void *arg, const char *path, bool is_written)
{
	const unsigned access = is_written ? ACCESS_WRITE : ACCESS_READ;
	struct way way;

	return find_real(&way, path) && !covers(arg, way.real, access)
		   ? "it " OUTSIDE
		   : NULL;
}

/* ---- All of it ---- */

static bool
require(const char *what, struct err *err)
{
	return err_set_errno(err, errno,
	    "sandbox = require: %s (sandbox = auto goes on without it)", what);
}

static bool
enter(struct sandbox *sandbox, bool required, bool may_execute, struct log *log,
    struct err *err)
{
	char landlock[64], calls[64];
	long version;
	unsigned count;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !forbid_dumps())
		return err_set_errno(
		    err, errno, "privileges cannot be given up");
	version = confine(&sandbox->folders);
	if (version == 0 && required)
		return require("the kernel has no Landlock", err);
	if (version > 0)
		snprintf(landlock, sizeof(landlock), "version %ld", version);
	else
		snprintf(landlock, sizeof(landlock), "no: %s", strerror(errno));
	count = filter_calls(may_execute);
	if (count == 0 && required)
		return require("the seccomp filter is not accepted", err);
	if (count > 0)
		snprintf(calls, sizeof(calls), "filter of %u calls", count);
	else
		snprintf(calls, sizeof(calls), "no: %s", strerror(errno));
	sandbox->confines = version > 0;
	if (sandbox->confines)
		file_set_denial(explain_denial, sandbox);
	log_notice(log, "sandbox", "in force", LOG_S("landlock", landlock),
	    LOG_S("seccomp", calls), LOG_S("core_dumps", "off"));
	return true;
}

struct sandbox *
sandbox_enter(const struct config *config, const char *executable,
    struct log *log, struct err *err)
{
	struct sandbox *sandbox = calloc(1, sizeof(*sandbox));

	if (sandbox == NULL) {
		err_no_memory(err);
		return NULL;
	}
	if (config->sandbox == SANDBOX_OFF) {
		log_notice(log, "sandbox", "off");
		return sandbox;
	}
	if (!sandbox_folders_of(config, &sandbox->folders) ||
	    !add_system(&sandbox->folders) ||
	    (executable && !add_program(&sandbox->folders, executable)))
		err_no_memory(err);
	else if (enter(sandbox, config->sandbox == SANDBOX_REQUIRE,
		     executable != NULL, log, err))
		return sandbox;
	sandbox_free(sandbox);
	return NULL;
}

void
sandbox_free(struct sandbox *sandbox)
{
	if (sandbox == NULL)
		return;
	file_set_denial(NULL, NULL);
	sandbox_folders_free(&sandbox->folders);
	free(sandbox);
}

/* ---- A later configuration ---- */

struct checking {
	const struct sandbox *sandbox;
	struct config_errors *errors;
	bool good;
};

/* Landlock denies no stat(): the user cannot search a folder on the way.  If
 * anything opens this path, then the opener, whose refusals have their own
 * sentences. */
static bool
is_for_the_opener(const char *path)
{
	struct stat status;

	return file_has_fallback() && stat(path, &status) != 0 &&
	       errno == EACCES;
}

static void
check_path(void *arg, const char *path, enum config_path_use use,
    const struct config_where *where)
{
	struct checking *checking = arg;
	struct way way;
	char *text = NULL;

	/* These two are opened at the start alone. */
	if (use == PATH_PID || use == PATH_STORE)
		return;
	if (!find_real(&way, path) ||
	    covers(checking->sandbox, way.real, access_of(use)) ||
	    is_for_the_opener(path))
		return;
	checking->good = false;
	if (asprintf(&text, "%s:%u: %s " OUTSIDE, where ? where->file : path,
		where ? where->line : 0, path) < 0)
		text = NULL;
	(void)strings_append(&checking->errors->list, text);
}

bool
sandbox_check(const struct sandbox *sandbox, const struct config *config,
    struct config_errors *errors)
{
	struct checking checking = { sandbox, errors, true };

	if (sandbox->confines)
		config_each_path(config, check_path, &checking);
	return checking.good;
}
