/*
 * podwire-shim: what a runtime executes under the plugins' names when there is a daemon. It sends the call to the
 * daemon and relays the answer (lib/daemon/protocol.ts has the frames). Whatever goes wrong with the daemon, the call
 * is made all the same: by the executable beside the shim, in a process of its own.
 *
 *   PODWIRE_SOCKET      the daemon's socket, else /run/podwire/podwire.sock
 *   PODWIRE_NO_DAEMON   do not ask the daemon
 *
 * Static, and without allocation: two buffers are all that it has. What does not fit into them is for the executable.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define DEFAULT_SOCKET "/run/podwire/podwire.sock"
#define EXECUTABLE "podwire"
#define VERSION 1
#define HEADER 12

/* ACCEPTED was said by daemons of before; it is as WORKING. */
enum { CALL = 1, ACCEPTED = 16, WORKING = 17, OUTCOME = 18, REFUSED = 19 };

/* How long the daemon may take to read the call, and then to say something again (it does every second). */
#define READ_MS 3000
#define SILENCE_MS 15000

#define MAX_REQUEST (4 << 20)

/* A page that is touched costs as much as some system calls: what each call needs lies on one. */
#define TOGETHER __attribute__((section(".data")))

extern char **environ;

static unsigned char request[HEADER + MAX_REQUEST];
static size_t request_length = HEADER;
static TOGETHER size_t config_start; /* of stdin, in the request */

/* What the daemon says when it refuses: the error object for stdout, should there be no executable. */
static char refusal[4096];
static TOGETHER size_t refusal_length;

/* The daemon may have begun with the call. */
static TOGETHER int may_have_begun;

static char call_variable[13 + 32 + 1] = "PODWIRE_CALL=";
static char executable[4096];

static void put_u32(unsigned char *at, uint32_t value)
{
	memcpy(at, &value, sizeof value);
}

static uint32_t get_u32(const unsigned char *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof value);
	return value;
}

/* Appends a string and its NUL. Returns 0 when the request would be too long. */
static int append(const char *text)
{
	size_t length = strlen(text) + 1;

	if (length > sizeof request - request_length)
		return 0;
	memcpy(request + request_length, text, length);
	request_length += length;
	return 1;
}

static int append_link(const char *path)
{
	char text[64];
	ssize_t length = readlink(path, text, sizeof text - 1);

	if (length < 0)
		return 0;
	text[length] = 0;
	return append(text);
}

static char *put_hex(char *out, uint64_t value)
{
	char digits[16];
	int count = 0;

	do
		digits[count++] = "0123456789abcdef"[value & 15];
	while (value >>= 4);
	while (count > 0)
		*out++ = digits[--count];
	return out;
}

/* What is behind a path, as device and inode in hex; "-" for nothing. */
static int append_identity(const char *path)
{
	char text[40] = "-";
	struct stat found;

	if (path && !stat(path, &found)) {
		char *out = put_hex(text, found.st_dev);

		*out++ = ':';
		*put_hex(out, found.st_ino) = 0;
	}
	return append(text);
}

/* Who is in another mount namespace than the daemon may mean other files by the same paths. */
static int append_places(void)
{
	return append_identity("/") && append_identity("/run") && append_identity("/var/lib/cni") &&
	       append_identity(getenv("CNI_NETNS"));
}

/* The call's name, by which a second try is known (lib/host/call.ts). */
static int name_call(void)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char bytes[16];
	char *out = call_variable + 13;

	if (getrandom(bytes, sizeof bytes, GRND_NONBLOCK) != sizeof bytes)
		return 0;
	for (size_t i = 0; i < sizeof bytes; i++) {
		*out++ = digits[bytes[i] >> 4];
		*out++ = digits[bytes[i] & 15];
	}
	return 1;
}

static int is_ours(const char *variable)
{
	return !strncmp(variable, "PODWIRE_CALL=", 13) || !strncmp(variable, "PODWIRE_RETRY=", 14);
}

static int append_environment(void)
{
	for (char **variable = environ; *variable; variable++)
		if (!is_ours(*variable) && **variable && !append(*variable))
			return 0;
	return append(call_variable) && append("");
}

/* A call without a command, and VERSION, read no stdin: it may be a terminal. */
static int has_config(void)
{
	const char *command = getenv("CNI_COMMAND");

	return command && *command && strcmp(command, "VERSION");
}

/* Waits for a descriptor that the runtime's end has left non-blocking. */
static ssize_t read_stdin(unsigned char *bytes, size_t length)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	ssize_t count;

	while ((count = read(STDIN_FILENO, bytes, length)) < 0 && (errno == EAGAIN || errno == EINTR))
		if (errno == EAGAIN)
			poll(&input, 1, -1);
	return count;
}

/* Returns 0 when stdin cannot be read, or is longer than the buffer: what was read of it is kept. */
static int append_config(void)
{
	config_start = request_length;
	while (has_config()) {
		ssize_t length = read_stdin(request + request_length, sizeof request - request_length);

		if (length <= 0)
			return length == 0 && request_length < sizeof request;
		request_length += (size_t)length;
	}
	return 1;
}

/* Whoever can take the socket's place would else say what the pod's network is. */
static int is_trusted(int fd)
{
	struct ucred peer;
	socklen_t length = sizeof peer;

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) && (peer.uid == 0 || peer.uid == geteuid());
}

static int open_socket(void)
{
	const char *path = getenv("PODWIRE_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	/* A full backlog makes connect(2) wait as long as a send. */
	struct timeval patience = { .tv_sec = READ_MS / 1000 };
	int fd;

	if (!path || !*path)
		path = DEFAULT_SOCKET;
	if (strlen(path) >= sizeof address.sun_path)
		return -1;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	/* In the place of one that the caller has closed, it would be told what is for that. */
	if (fd <= STDERR_FILENO) {
		int higher = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

		close(fd);
		if (higher < 0)
			return -1;
		fd = higher;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) || !is_trusted(fd)) {
		close(fd);
		return -1;
	}
	return fd;
}

static int send_all(int fd, const unsigned char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return 0;
		bytes += sent;
		length -= (size_t)sent;
	}
	return 1;
}

/* Returns 0 when nothing comes. */
static int await_input(int fd, int silence_ms)
{
	struct pollfd input = { .fd = fd, .events = POLLIN };
	int ready;

	do
		ready = poll(&input, 1, silence_ms);
	while (ready < 0 && errno == EINTR);
	return ready > 0;
}

/* A daemon that is held, or stopped, has read nothing: what was sent to it is still the kernel's. */
static int is_read(int fd)
{
	int waiting;

	return !ioctl(fd, TIOCOUTQ, &waiting) && waiting == 0;
}

/* Returns 0 when the bytes do not come: the daemon is gone, or has been silent for too long. */
static int receive_all(int fd, unsigned char *bytes, size_t length, int silence_ms)
{
	while (length > 0) {
		ssize_t received;

		if (!await_input(fd, silence_ms))
			return 0;
		received = recv(fd, bytes, length, 0);
		if (received < 0 && errno == EINTR)
			continue;
		if (received <= 0)
			return 0;
		bytes += received;
		length -= (size_t)received;
	}
	return 1;
}

static int write_all(int fd, const unsigned char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t written = write(fd, bytes, length);
		struct pollfd output = { .fd = fd, .events = POLLOUT };

		if (written > 0) {
			bytes += written;
			length -= (size_t)written;
		} else if (errno == EAGAIN) {
			poll(&output, 1, -1);
		} else if (errno != EINTR) {
			return 0;
		}
	}
	return 1;
}

/* Ends the process; returns when the answer is cut off. */
static void relay_outcome(int fd, uint32_t length)
{
	unsigned char *body = mmap(NULL, length ? length : 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t stdout_length;

	if (body == MAP_FAILED || length < 8 || !receive_all(fd, body, length, SILENCE_MS))
		return;
	stdout_length = get_u32(body + 4);
	if (stdout_length > length - 8)
		return;
	/* A reader of stderr that is gone costs nobody the result. */
	signal(SIGPIPE, SIG_IGN);
	write_all(STDERR_FILENO, body + 8 + stdout_length, length - 8 - stdout_length);
	_exit(write_all(STDOUT_FILENO, body + 8, stdout_length) ? (int)get_u32(body) : 1);
}

static void keep_refusal(int fd, uint32_t length)
{
	may_have_begun = 0;
	if (length <= sizeof refusal && receive_all(fd, (unsigned char *)refusal, length, SILENCE_MS))
		refusal_length = length;
}

/* Ends the process when the daemon has answered; returns when the call is still to be made. */
static void ask_daemon(void)
{
	unsigned char header[HEADER];
	int fd = open_socket();

	if (fd < 0)
		return;
	memcpy(request, "PWIR", 4);
	request[4] = VERSION;
	request[5] = CALL;
	put_u32(request + 8, (uint32_t)(request_length - HEADER));
	may_have_begun = 1;
	if (send_all(fd, request, request_length) && (await_input(fd, READ_MS) || is_read(fd))) {
		while (receive_all(fd, header, sizeof header, SILENCE_MS) && !memcmp(header, "PWIR", 4)) {
			if (header[5] == OUTCOME)
				relay_outcome(fd, get_u32(header + 8));
			else if (header[5] == REFUSED)
				keep_refusal(fd, get_u32(header + 8));
			if ((header[5] != ACCEPTED && header[5] != WORKING) || get_u32(header + 8))
				break;
		}
	}
	close(fd);
}

/* The executable beside the file that this is, whatever link it was called by, and whether or not it was replaced since. */
static int find_executable(void)
{
	ssize_t length = readlink("/proc/self/exe", executable, sizeof executable - sizeof EXECUTABLE);
	char *slash;

	if (length <= 0)
		return 0;
	executable[length] = 0;
	slash = strrchr(executable, '/');
	if (!slash)
		return 0;
	strcpy(slash + 1, EXECUTABLE);
	return 1;
}

/* stdin has been read: what was, comes again from a file in memory, and after it what is left of it. */
static int restore_stdin(void)
{
	size_t length = request_length - config_start;
	int fd = memfd_create("config", MFD_CLOEXEC);

	if (fd < 0 || !write_all(fd, request + config_start, length))
		return 0;
	while (request_length == sizeof request) {
		unsigned char *buffer = request;
		ssize_t more = read_stdin(buffer, sizeof request);

		if (more < 0)
			return 0;
		if (more == 0)
			break;
		if (!write_all(fd, buffer, (size_t)more))
			return 0;
	}
	return lseek(fd, 0, SEEK_SET) == 0 && dup2(fd, STDIN_FILENO) == STDIN_FILENO;
}

/* The environment as it came, and what tells the executable that this may be a second try. */
static void execute(char **argv)
{
	static char retry[] = "PODWIRE_RETRY=1";
	size_t count = 0, room = 3;
	char **variables;

	for (char **variable = environ; *variable; variable++)
		room++;
	variables = mmap(NULL, room * sizeof *variables, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (variables == MAP_FAILED)
		return;
	for (char **variable = environ; *variable; variable++)
		if (!is_ours(*variable))
			variables[count++] = *variable;
	if (may_have_begun) {
		variables[count++] = call_variable;
		variables[count++] = retry;
	}
	execve(executable, argv, variables);
}

/* Nothing is left to do but to say so, in the way of the CNI specification. Without an executable, the daemon's word. */
static int fail(void)
{
	static const char message[] =
		"{\n    \"cniVersion\": \"1.1.0\",\n    \"code\": 11,\n"
		"    \"msg\": \"no daemon answers, and the executable " EXECUTABLE " beside the shim cannot be run\",\n"
		"    \"details\": \"start the daemon, or put the executable back: podwire install DIR --shim\"\n}";

	if (refusal_length > 0)
		write_all(STDOUT_FILENO, (unsigned char *)refusal, refusal_length);
	else
		write_all(STDOUT_FILENO, (const unsigned char *)message, sizeof message - 1);
	return 1;
}

int main(int argc, char **argv)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const char *name = slash ? slash + 1 : argc > 0 ? argv[0] : "";
	const char *no_daemon = getenv("PODWIRE_NO_DAEMON");

	/* A person who calls it with words, and who asks for no daemon, is not answered from here. */
	if (argc == 1 && !(no_daemon && *no_daemon) && name_call() && append(name) &&
	    append_link("/proc/self/ns/net") && append_places() && append_environment() && append_config())
		ask_daemon();
	if (config_start && has_config() && !restore_stdin())
		return fail();
	if (find_executable())
		execute(argv);
	return fail();
}
