/*
 * The system calls that Podwire needs and Node.js does not offer. As little C as can be:
 * every function is one system call, or one socket's options; policy lives in TypeScript.
 *
 * setns(2), unshare(2), flock(2), F_OFD_SETLK of fcntl(2), setsockopt(2), send(2) and recv(2) on a netlink socket, _exit(2);
 * send(2) or poll(2) and write(2) of what must not wait;
 * sched_setattr(2); renameat2(2); open(2), statx(2), pread(2) where each call has some, CLOCK_THREAD_CPUTIME_ID of clock_gettime(2), malloc_trim(3); V8's
 * strings that are not copied. What other threads ask of netlink is in conversations.c, the daemon's clients are in clients.c.
 */
#define _GNU_SOURCE
#include "addon.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/magic.h>
#include <linux/netlink.h>
#include <malloc.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

#define RECEIVE_BUFFER_BYTES (4 << 20)

napi_value throw_errno(napi_env env, const char *call, int err)
{
	char text[160];
	napi_value message, error, number, name;

	snprintf(text, sizeof text, "%s: %s", call, strerror(err));
	napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message);
	napi_create_error(env, NULL, message, &error);
	napi_create_int32(env, err, &number);
	napi_set_named_property(env, error, "errno", number);
	napi_create_string_utf8(env, call, NAPI_AUTO_LENGTH, &name);
	napi_set_named_property(env, error, "syscall", name);
	napi_throw(env, error);
	return NULL;
}

/* Reads `count` int32 arguments; throws a TypeError and returns 0 when one is missing or no number. */
static int int_arguments(napi_env env, napi_callback_info info, size_t count, int32_t *out)
{
	napi_value argv[4];
	size_t argc = 4;

	napi_get_cb_info(env, info, &argc, argv, NULL, NULL);
	for (size_t i = 0; i < count; i++) {
		if (i >= argc || napi_get_value_int32(env, argv[i], &out[i]) != napi_ok) {
			napi_throw_type_error(env, NULL, "expected integers");
			return 0;
		}
	}
	return 1;
}

int number_and_bytes(napi_env env, napi_callback_info info, const char *what, int32_t *number, void **bytes, size_t *length)
{
	napi_value argv[2];
	size_t argc = 2;
	char text[40];

	napi_get_cb_info(env, info, &argc, argv, NULL, NULL);
	if (argc >= 2 && napi_get_value_int32(env, argv[0], number) == napi_ok &&
	    napi_get_typedarray_info(env, argv[1], NULL, length, bytes, NULL, NULL) == napi_ok)
		return 1;
	snprintf(text, sizeof text, "expected %s, bytes", what);
	napi_throw_type_error(env, NULL, text);
	return 0;
}

/* setns(fd): moves the calling thread into the network namespace behind fd. */
static napi_value addon_setns(napi_env env, napi_callback_info info)
{
	int32_t fd;

	if (!int_arguments(env, info, 1, &fd))
		return NULL;
	if (setns(fd, CLONE_NEWNET))
		return throw_errno(env, "setns", errno);
	return NULL;
}

/* unshareNet(): the calling thread moves into a network namespace that is new and has no name (unshare(2)). */
static napi_value addon_unshare_net(napi_env env, napi_callback_info info)
{
	if (unshare(CLONE_NEWNET))
		return throw_errno(env, "unshare", errno);
	return NULL;
}

static void ignore_signal(int signal)
{
	(void)signal;
}

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

struct lock_request {
	int fd;
	int operation;       /* of flock(2) */
	struct flock *range; /* of fcntl(2), when there is one */
};

static int lock_and_wait(const struct lock_request *lock)
{
	return lock->range ? fcntl(lock->fd, F_OFD_SETLKW, lock->range) : flock(lock->fd, lock->operation);
}

/*
 * A blocking lock has no time limit of its own: a timer of this thread interrupts it, every 10 ms, since the first
 * signal may come before it has begun to wait. SIGALRM belongs to us only while we wait.
 *
 * The timer calls are made directly: those of the C library would ask for a newer one (GLIBC_2.34) than Node does.
 */
static int lock_within(const struct lock_request *lock, int timeout_ms)
{
	struct sigaction quiet = { .sa_handler = ignore_signal }, before;
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM };
	struct itimerspec tick = { .it_value.tv_nsec = 10 * 1000000L, .it_interval.tv_nsec = 10 * 1000000L };
	long long deadline = now_ms() + timeout_ms;
	int timer, rc, err;

	event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer)) {
		/* None left (RLIMIT_SIGPENDING) is told by what, of a lock, says that another holds it. */
		errno = errno == EAGAIN ? ENOMEM : errno;
		return -1;
	}
	sigaction(SIGALRM, &quiet, &before);
	syscall(SYS_timer_settime, timer, 0, &tick, NULL);
	do
		rc = lock_and_wait(lock);
	while (rc && errno == EINTR && now_ms() < deadline);
	err = errno;
	syscall(SYS_timer_delete, timer);
	sigaction(SIGALRM, &before, NULL);
	errno = err == EINTR ? EWOULDBLOCK : err;
	return rc;
}

/* flock(fd, operation, timeoutMs): false when another holds the lock (LOCK_NB) or held it all the time. */
static napi_value addon_flock(napi_env env, napi_callback_info info)
{
	int32_t args[3];
	napi_value result;
	int rc;

	if (!int_arguments(env, info, 3, args))
		return NULL;
	if (args[1] & (LOCK_NB | LOCK_UN))
		rc = flock(args[0], args[1]);
	else
		rc = lock_within(&(struct lock_request){ .fd = args[0], .operation = args[1] }, args[2]);
	if (rc && errno != EWOULDBLOCK)
		return throw_errno(env, "flock", errno);
	napi_get_boolean(env, rc == 0, &result);
	return result;
}

char *string_argument(napi_env env, napi_value value, size_t *length)
{
	char *text;

	if (napi_get_value_string_utf8(env, value, NULL, 0, length) != napi_ok) {
		napi_throw_type_error(env, NULL, "a string is needed");
		return NULL;
	}
	text = malloc(*length + 1);
	if (!text)
		throw_errno(env, "malloc", ENOMEM);
	else
		napi_get_value_string_utf8(env, value, text, *length + 1, length);
	return text;
}

/* @returns a path, to be freed; NULL, and an error is thrown, when it is none: what follows a NUL would not be looked at */
static char *path_argument(napi_env env, napi_value value, const char *call)
{
	size_t length;
	char *path = string_argument(env, value, &length);

	if (!path || strlen(path) == length)
		return path;
	free(path);
	throw_errno(env, call, EINVAL);
	return NULL;
}

/* writeFile(path, text): into a file that is there, by one write(2), as files of /proc want it. */
static napi_value addon_write_file(napi_env env, napi_callback_info info)
{
	napi_value argv[2];
	size_t argc = 2, length;
	char *path, *text;
	int fd = -1, err = 0;

	napi_get_cb_info(env, info, &argc, argv, NULL, NULL);
	path = path_argument(env, argv[0], "open");
	text = path ? string_argument(env, argv[1], &length) : NULL;
	if (text) {
		fd = open(path, O_WRONLY | O_CLOEXEC);
		err = fd < 0 || write(fd, text, length) < 0 ? errno : 0;
		if (fd >= 0)
			close(fd);
	}
	free(text);
	free(path);
	return err ? throw_errno(env, fd < 0 ? "open" : "write", err) : NULL;
}

/* statx(2): those functions of the C library that are called stat would ask for a newer one (GLIBC_2.33) than Node does. */
static int look_at(int directory, const char *path, int flags, struct statx *found)
{
	return statx(directory, path, flags, STATX_TYPE | STATX_INO, found) == 0;
}

/* identify(path) -> device and inode in hex, as native/shim.c says them; undefined for what cannot be looked at. */
static napi_value addon_identify(napi_env env, napi_callback_info info)
{
	char path[PATH_MAX], text[40];
	napi_value argument, result = NULL;
	size_t argc = 1, length;
	struct statx found;

	napi_get_cb_info(env, info, &argc, &argument, NULL, NULL);
	if (napi_get_value_string_utf8(env, argument, path, sizeof path, &length) != napi_ok) {
		napi_throw_type_error(env, NULL, "expected a path");
		return NULL;
	}
	/* One that is cut off, or has a NUL within, is no path. */
	if (length == sizeof path - 1 || strlen(path) != length || !look_at(AT_FDCWD, path, 0, &found))
		return NULL;
	snprintf(text, sizeof text, "%llx:%llx", (unsigned long long)makedev(found.stx_dev_major, found.stx_dev_minor),
		 (unsigned long long)found.stx_ino);
	napi_create_string_latin1(env, text, NAPI_AUTO_LENGTH, &result);
	return result;
}

/*
 * openNamespace(path) -> { fd, inode }, undefined when the file is no namespace. O_NONBLOCK: a FIFO under that name must not
 * stop us.
 */
static napi_value addon_open_namespace(napi_env env, napi_callback_info info)
{
	napi_value argument, result = NULL, value;
	size_t argc = 1;
	struct statfs system;
	struct statx found;
	char inode[24];
	char *path;
	int fd, err;

	napi_get_cb_info(env, info, &argc, &argument, NULL, NULL);
	path = path_argument(env, argument, "open");
	if (!path)
		return NULL;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	err = errno;
	free(path);
	if (fd < 0)
		return throw_errno(env, "open", err);
	if (fstatfs(fd, &system) || !look_at(fd, "", AT_EMPTY_PATH, &found)) {
		err = errno;
		close(fd);
		return throw_errno(env, "stat", err);
	}
	if (system.f_type != NSFS_MAGIC) {
		close(fd);
		return NULL;
	}
	snprintf(inode, sizeof inode, "%llu", (unsigned long long)found.stx_ino);
	napi_create_object(env, &result);
	napi_create_int32(env, fd, &value);
	napi_set_named_property(env, result, "fd", value);
	napi_create_string_latin1(env, inode, NAPI_AUTO_LENGTH, &value);
	napi_set_named_property(env, result, "inode", value);
	return result;
}

/* readText(fd): the first 4 KiB of a file from its start, as files of /proc have it; Latin-1. */
static napi_value addon_read_text(napi_env env, napi_callback_info info)
{
	char text[4096];
	napi_value result;
	ssize_t length;
	int32_t fd;

	if (!int_arguments(env, info, 1, &fd))
		return NULL;
	length = pread(fd, text, sizeof text, 0);
	if (length < 0)
		return throw_errno(env, "read", errno);
	napi_create_string_latin1(env, text, (size_t)length, &result);
	return result;
}

/* kindOf(path) -> the type of what it leads to, as S_IFMT of stat(2) has it; 0 when nothing is there. */
static napi_value addon_kind_of(napi_env env, napi_callback_info info)
{
	napi_value argument, result;
	size_t argc = 1;
	struct statx found;
	char *path;
	int err;

	napi_get_cb_info(env, info, &argc, &argument, NULL, NULL);
	path = path_argument(env, argument, "stat");
	if (!path)
		return NULL;
	err = look_at(AT_FDCWD, path, 0, &found) ? 0 : errno;
	free(path);
	if (err && err != ENOENT && err != ENOTDIR)
		return throw_errno(env, "stat", err);
	napi_create_uint32(env, err ? 0 : found.stx_mode & S_IFMT, &result);
	return result;
}

/* exchange(one, other): each is where the other was, and at no moment is either place empty. */
static napi_value addon_exchange(napi_env env, napi_callback_info info)
{
	napi_value argv[2];
	size_t argc = 2;
	char *one, *other;
	int err = 0;

	napi_get_cb_info(env, info, &argc, argv, NULL, NULL);
	one = argc < 2 ? NULL : path_argument(env, argv[0], "rename");
	other = one ? path_argument(env, argv[1], "rename") : NULL;
	if (other && syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE))
		err = errno;
	free(one);
	free(other);
	if (argc < 2)
		napi_throw_type_error(env, NULL, "expected two paths");
	return err ? throw_errno(env, "rename", err) : NULL;
}

/* isSameFile(fd, path): whether the path leads to what is open. */
static napi_value addon_is_same_file(napi_env env, napi_callback_info info)
{
	napi_value argv[2], result;
	size_t argc = 2;
	struct statx ours, there;
	int32_t fd;
	int err;
	char *path;

	napi_get_cb_info(env, info, &argc, argv, NULL, NULL);
	if (argc < 2 || napi_get_value_int32(env, argv[0], &fd) != napi_ok) {
		napi_throw_type_error(env, NULL, "expected descriptor, path");
		return NULL;
	}
	path = path_argument(env, argv[1], "stat");
	if (!path)
		return NULL;
	err = look_at(AT_FDCWD, path, 0, &there) ? 0 : errno;
	free(path);
	if (err && err != ENOENT && err != ENOTDIR)
		return throw_errno(env, "stat", err);
	if (!look_at(fd, "", AT_EMPTY_PATH, &ours))
		return throw_errno(env, "stat", errno);
	napi_get_boolean(env,
			 !err && ours.stx_ino == there.stx_ino && ours.stx_dev_major == there.stx_dev_major &&
				 ours.stx_dev_minor == there.stx_dev_minor,
			 &result);
	return result;
}

/* As the kernel has it (sched_setattr(2)); the C library has it since 2.41. */
struct thread_attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

#define FLAG_RESET_ON_FORK 1

/*
 * setNice(nice): of the calling thread alone; threads and processes that it makes have none that is below 0. False where the
 * thread has another scheduling policy than the usual, which is left as it is.
 */
static napi_value addon_set_nice(napi_env env, napi_callback_info info)
{
	struct thread_attributes attributes = { .size = sizeof attributes, .flags = FLAG_RESET_ON_FORK };
	bool is_usual = sched_getscheduler(0) == SCHED_OTHER;
	napi_value result;

	if (!int_arguments(env, info, 1, &attributes.nice))
		return NULL;
	if (is_usual && syscall(SYS_sched_setattr, 0, &attributes, 0))
		return throw_errno(env, "sched_setattr", errno);
	napi_get_boolean(env, is_usual, &result);
	return result;
}

/* threadCpuMs(): what the calling thread has worked, in milliseconds. */
static napi_value addon_thread_cpu_ms(napi_env env, napi_callback_info info)
{
	struct timespec worked;
	napi_value result;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &worked);
	napi_create_double(env, (double)worked.tv_sec * 1e3 + (double)worked.tv_nsec / 1e6, &result);
	return result;
}

/*
 * lockByte(fd, offset, lock, timeoutMs): locks or unlocks one byte of a file for whoever shares this open file;
 * false when another holds it, or held it for timeoutMs.
 */
static napi_value addon_lock_byte(napi_env env, napi_callback_info info)
{
	struct flock range = { .l_whence = SEEK_SET, .l_len = 1 };
	napi_value argv[4], result;
	size_t argc = 4;
	int32_t fd, timeout_ms;
	int64_t offset;
	bool lock;
	int rc;

	napi_get_cb_info(env, info, &argc, argv, NULL, NULL);
	if (argc < 4 || napi_get_value_int32(env, argv[0], &fd) != napi_ok ||
	    napi_get_value_int64(env, argv[1], &offset) != napi_ok ||
	    napi_get_value_bool(env, argv[2], &lock) != napi_ok ||
	    napi_get_value_int32(env, argv[3], &timeout_ms) != napi_ok) {
		napi_throw_type_error(env, NULL, "expected descriptor, offset, boolean, milliseconds");
		return NULL;
	}
	range.l_type = lock ? F_WRLCK : F_UNLCK;
	range.l_start = offset;
	rc = fcntl(fd, F_OFD_SETLK, &range);
	if (rc && (errno == EAGAIN || errno == EACCES) && timeout_ms > 0)
		rc = lock_within(&(struct lock_request){ .fd = fd, .range = &range }, timeout_ms);
	if (rc && errno != EAGAIN && errno != EACCES)
		return throw_errno(env, "fcntl F_OFD_SETLK", errno);
	napi_get_boolean(env, rc == 0, &result);
	return result;
}

/*
 * configureNetlink(protocol, port) -> descriptor: the npm package `netlink` keeps its descriptor to itself, so the socket is
 * found by its address. A port is unique within one namespace only: of two sockets with one port in
 * different namespaces, the one not yet configured is the new one.
 */
static int is_new_netlink_socket(int fd, int protocol, unsigned port)
{
	struct sockaddr_nl address;
	socklen_t length = sizeof address;
	int value = 0;
	socklen_t size = sizeof value;

	if (getsockname(fd, (struct sockaddr *)&address, &length) || address.nl_family != AF_NETLINK ||
	    address.nl_pid != port)
		return 0;
	if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &value, &size) || value != protocol)
		return 0;
	size = sizeof value;
	return !getsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &value, &size) && !value;
}

static int find_new_netlink_socket(int protocol, unsigned port)
{
	/* The last one's number first: sockets come and go, and the lowest free number is given out again. */
	static int last;
	struct rlimit limit;

	if (is_new_netlink_socket(last, protocol, port))
		return last;
	if (getrlimit(RLIMIT_NOFILE, &limit))
		return -1;
	for (int fd = 3; fd < (int)limit.rlim_cur; fd++)
		if (is_new_netlink_socket(fd, protocol, port))
			return last = fd;
	errno = ENOENT;
	return -1;
}

static int set_options(int fd, int protocol)
{
	int on = 1, room = RECEIVE_BUFFER_BYTES;

	/* Extended errors name the offending attribute; capped ones do not repeat our request. */
	if (setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on))
		return -1;
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
	/*
	 * A full receive buffer is an error of the socket, on which the package ends the process. So there is room for
	 * what a busy node sends at once, and what is lost all the same is noticed by the deadline.
	 */
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
	setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof on);
	/* Strict checking makes dumps honour their filter (Linux 4.20); only rtnetlink knows it. */
	if (protocol == NETLINK_ROUTE)
		setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
	return 0;
}

static napi_value addon_configure_netlink(napi_env env, napi_callback_info info)
{
	int32_t args[2];
	napi_value result;
	int fd;

	if (!int_arguments(env, info, 2, args))
		return NULL;
	fd = find_new_netlink_socket(args[0], (unsigned)args[1]);
	if (fd < 0)
		return throw_errno(env, "find netlink socket", errno);
	if (set_options(fd, args[0]))
		return throw_errno(env, "setsockopt NETLINK_EXT_ACK", errno);
	napi_create_int32(env, fd, &result);
	return result;
}

int open_netlink(napi_env env, int protocol)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol), err;

	if (fd < 0) {
		throw_errno(env, "socket", errno);
	} else if (set_options(fd, protocol)) {
		err = errno;
		close(fd);
		fd = -1;
		throw_errno(env, "setsockopt NETLINK_EXT_ACK", err);
	}
	return fd;
}

/* openNetlink(protocol) -> the descriptor of a socket with the same options, which the caller closes. */
static napi_value addon_open_netlink(napi_env env, napi_callback_info info)
{
	int32_t protocol;
	napi_value result;
	int fd;

	if (!int_arguments(env, info, 1, &protocol))
		return NULL;
	fd = open_netlink(env, protocol);
	if (fd < 0)
		return NULL;
	napi_create_int32(env, fd, &result);
	return result;
}

/* filterMessages(fd, type, family): a socket of rtnetlink gets no messages of others (socket(7), SO_ATTACH_FILTER). */
static napi_value addon_filter_messages(napi_env env, napi_callback_info info)
{
	int32_t args[3];

	if (!int_arguments(env, info, 3, args))
		return NULL;

	/* A filter loads in network order, and the type is in the machine's. The family is the first byte of each message. */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons((unsigned short)args[1]), 0, 3),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, NLMSG_HDRLEN),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned char)args[2], 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = { .len = sizeof code / sizeof code[0], .filter = code };

	if (setsockopt(args[0], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program))
		return throw_errno(env, "setsockopt SO_ATTACH_FILTER", errno);
	return NULL;
}

/* send(fd, bytes): one datagram. Our socket's send buffer is empty: the kernel has taken what came before. */
static napi_value addon_send(napi_env env, napi_callback_info info)
{
	size_t length;
	int32_t fd;
	void *bytes;
	ssize_t sent;

	if (!number_and_bytes(env, info, "descriptor", &fd, &bytes, &length))
		return NULL;
	do
		sent = send(fd, bytes, length, 0);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return throw_errno(env, "send", errno);
	return NULL;
}

/*
 * writeNow(fd, bytes): the descriptor may be shared with others, so that it cannot be made non-blocking. A socket is asked
 * not to wait for this once; a pipe that poll(2) finds writable takes PIPE_BUF bytes, a file all.
 */
static napi_value addon_write_now(napi_env env, napi_callback_info info)
{
	napi_value result;
	ssize_t written;
	size_t length;
	int32_t fd;
	void *bytes;

	if (!number_and_bytes(env, info, "descriptor", &fd, &bytes, &length))
		return NULL;
	do {
		struct pollfd place = { .fd = fd, .events = POLLOUT };

		written = send(fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (written < 0 && errno == ENOTSOCK)
			written = poll(&place, 1, 0) > 0 ? write(fd, bytes, length) : 0;
	} while (written < 0 && errno == EINTR);
	if (written < 0 && errno != EAGAIN)
		return throw_errno(env, "write", errno);
	napi_create_int64(env, written < 0 ? 0 : written, &result);
	return result;
}

/*
 * receive(fd): a datagram that is there already, undefined when none is. The kernel answers a request before send(2)
 * returns, so that who has just sent need not wait for the event loop to say that there is something to read.
 */
static napi_value addon_receive(napi_env env, napi_callback_info info)
{
	static unsigned char datagram[64 << 10];
	napi_value result = NULL;
	ssize_t length;
	int32_t fd;

	if (!int_arguments(env, info, 1, &fd))
		return NULL;
	do
		length = recv(fd, datagram, sizeof datagram, MSG_DONTWAIT | MSG_TRUNC);
	while (length < 0 && errno == EINTR);
	if (length < 0 && errno == EAGAIN)
		return NULL;
	if (length < 0)
		return throw_errno(env, "recv", errno);
	if ((size_t)length > sizeof datagram)
		return throw_errno(env, "recv", EMSGSIZE);
	napi_create_buffer_copy(env, (size_t)length, datagram, NULL, &result);
	return result;
}

struct trim {
	napi_async_work work;
	napi_deferred deferred;
};

static void run_trim(napi_env env, void *data)
{
	malloc_trim(0);
}

static void end_trim(napi_env env, napi_status status, void *data)
{
	struct trim *trim = data;
	napi_value undefined;

	napi_get_undefined(env, &undefined);
	napi_resolve_deferred(env, trim->deferred, undefined);
	napi_delete_async_work(env, trim->work);
	free(trim);
}

/*
 * trimMemory() -> Promise: gives the kernel back the pages that malloc(3) keeps free, on another thread. It keeps an
 * arena for each of V8's and libuv's threads, and of those gives nothing back by itself but their ends.
 */
static napi_value addon_trim_memory(napi_env env, napi_callback_info info)
{
	struct trim *trim = malloc(sizeof *trim);
	napi_value promise, name;

	if (!trim)
		return throw_errno(env, "malloc", ENOMEM);
	napi_create_promise(env, &trim->deferred, &promise);
	napi_create_string_utf8(env, "trim memory", NAPI_AUTO_LENGTH, &name);
	napi_create_async_work(env, NULL, name, run_trim, end_trim, trim, &trim->work);
	napi_queue_async_work(env, trim->work);
	return promise;
}

/* Of Node-API 10, which Node.js 24 has; a module that asked for it as a whole would not load in Node.js 20. */
extern napi_status node_api_create_external_string_latin1(napi_env env, char *text, size_t length,
							  void (*finalize)(napi_env, void *, void *), void *hint,
							  napi_value *result, bool *copied);

static void release_bytes(napi_env env, void *bytes, void *reference)
{
	napi_delete_reference(env, reference);
}

/* textIn(bytes): the string lies where the ArrayBuffer does, and keeps it. */
static napi_value addon_text_in(napi_env env, napi_callback_info info)
{
	napi_value buffer, text = NULL;
	napi_ref reference;
	size_t argc = 1, length;
	void *bytes;
	bool copied;

	napi_get_cb_info(env, info, &argc, &buffer, NULL, NULL);
	if (napi_get_arraybuffer_info(env, buffer, &bytes, &length) != napi_ok) {
		napi_throw_type_error(env, NULL, "expected an ArrayBuffer");
		return NULL;
	}
	if (length == 0) {
		napi_create_string_latin1(env, "", 0, &text);
		return text;
	}
	napi_create_reference(env, buffer, 1, &reference);
	if (node_api_create_external_string_latin1(env, bytes, length, release_bytes, reference, &text, &copied)) {
		napi_delete_reference(env, reference);
		napi_throw_range_error(env, NULL, "too long for a string");
	}
	return text;
}

/* exit(status): leaves at once. Node's own way out takes milliseconds to free what the kernel frees anyway. */
static napi_value addon_exit(napi_env env, napi_callback_info info)
{
	int32_t status;

	if (!int_arguments(env, info, 1, &status))
		return NULL;
	_exit(status);
}

/* abort(): for a thread that cannot find its way back into its own namespace; nothing may run after that. */
static napi_value addon_abort(napi_env env, napi_callback_info info)
{
	abort();
}

NAPI_MODULE_INIT()
{
	static const struct {
		const char *name;
		napi_callback call;
	} functions[] = {
		{ "setns", addon_setns },
		{ "unshareNet", addon_unshare_net },
		{ "flock", addon_flock },
		{ "lockByte", addon_lock_byte },
		{ "writeFile", addon_write_file },
		{ "configureNetlink", addon_configure_netlink },
		{ "openNetlink", addon_open_netlink },
		{ "filterMessages", addon_filter_messages },
		{ "send", addon_send },
		{ "writeNow", addon_write_now },
		{ "receive", addon_receive },
		{ "converse", addon_converse },
		{ "relay", addon_relay },
		{ "serve", addon_serve },
		{ "isClientGone", addon_is_client_gone },
		{ "clientPid", addon_client_pid },
		{ "tellClient", addon_tell_client },
		{ "endClient", addon_end_client },
		{ "dropClient", addon_drop_client },
		{ "takeClient", addon_take_client },
		{ "identify", addon_identify },
		{ "kindOf", addon_kind_of },
		{ "isSameFile", addon_is_same_file },
		{ "exchange", addon_exchange },
		{ "openNamespace", addon_open_namespace },
		{ "readText", addon_read_text },
		{ "setNice", addon_set_nice },
		{ "threadCpuMs", addon_thread_cpu_ms },
		{ "trimMemory", addon_trim_memory },
		{ "textIn", addon_text_in },
		{ "exit", addon_exit },
		{ "abort", addon_abort },
	};

	for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
		napi_value function;

		napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].call, NULL, &function);
		napi_set_named_property(env, exports, functions[i].name, function);
	}
	return exports;
}
