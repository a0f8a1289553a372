/*
 * A unix socket whose clients say what they want and are answered once. Node.js has streams for that, which are made for
 * any conversation: to make one, to read and to end it takes more than all that is done for many a call. Here it is
 * libuv's own, and JavaScript is called once for what has come, with the bytes.
 *
 * A client is known by the number of its descriptor, as long as it is ours: until `drop`, `take`, the end of what `end`
 * said, or until it is told that the client is gone.
 */
#define _GNU_SOURCE
#include "addon.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

struct server {
	uv_pipe_t pipe;
	napi_env env;
	napi_ref callback;
	napi_async_context context;
	size_t users; /* its clients, and the pipe while it is open */
};

struct client {
	uv_pipe_t pipe;
	struct server *server;
	int fd;
};

/* What could not be sent at once. */
struct rest {
	uv_write_t request;
	unsigned char bytes[];
};

static struct client **clients; /* by descriptor */
static size_t room;

static struct client *find_client(int fd)
{
	return fd >= 0 && (size_t)fd < room ? clients[fd] : NULL;
}

/* @returns 0 when there is no memory for it */
static int keep_client(struct client *client, int fd)
{
	if ((size_t)fd >= room) {
		size_t more = (size_t)fd + 64;
		struct client **larger = realloc(clients, more * sizeof *clients);

		if (!larger)
			return 0;
		memset(larger + room, 0, (more - room) * sizeof *larger);
		clients = larger;
		room = more;
	}
	client->fd = fd;
	clients[fd] = client;
	return 1;
}

static void leave_server(struct server *server)
{
	if (--server->users > 0)
		return;
	napi_delete_reference(server->env, server->callback);
	napi_async_destroy(server->env, server->context);
	free(server);
}

static void free_client(uv_handle_t *handle)
{
	struct client *client = (struct client *)handle;

	leave_server(client->server);
	free(client);
}

static void drop_client(struct client *client)
{
	if (find_client(client->fd) == client)
		clients[client->fd] = NULL;
	uv_close((uv_handle_t *)&client->pipe, free_client);
}

/* Calls onEvent(client, bytes); without bytes, the client is gone. */
static void tell(struct server *server, int fd, const void *bytes, size_t length)
{
	napi_env env = server->env;
	napi_handle_scope scope;
	napi_value callback, receiver, error, argv[2];

	napi_open_handle_scope(env, &scope);
	napi_create_int32(env, fd, &argv[0]);
	if (bytes)
		napi_create_buffer_copy(env, length, bytes, NULL, &argv[1]);
	else
		napi_get_undefined(env, &argv[1]);
	napi_get_global(env, &receiver);
	napi_get_reference_value(env, server->callback, &callback);
	if (napi_make_callback(env, server->context, receiver, callback, 2, argv, NULL) == napi_pending_exception &&
	    napi_get_and_clear_last_exception(env, &error) == napi_ok)
		napi_fatal_exception(env, error);
	napi_close_handle_scope(env, scope);
}

/* Forgets the client first: its number may be another's while JavaScript still runs. */
static void tell_gone(struct client *client)
{
	struct server *server = client->server;
	int fd = client->fd;

	drop_client(client);
	tell(server, fd, NULL, 0);
}

static unsigned char incoming[64 << 10];

static void lend_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	*buffer = uv_buf_init((char *)incoming, sizeof incoming);
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
	struct client *client = (struct client *)stream;

	if (length > 0)
		tell(client->server, client->fd, buffer->base, (size_t)length);
	else if (length < 0)
		tell_gone(client);
}

/*
 * JavaScript hears of it at once, since one that says nothing must be given up in time; mostly it has said already what
 * it wants.
 */
static void begin_client(struct client *client)
{
	ssize_t length = recv(client->fd, incoming, sizeof incoming, MSG_DONTWAIT);

	if (uv_read_start((uv_stream_t *)&client->pipe, lend_buffer, on_read))
		drop_client(client);
	else
		tell(client->server, client->fd, incoming, length > 0 ? (size_t)length : 0);
}

/* @param fd  of the connection; -1 for the one that libuv has accepted */
static void accept_client(uv_stream_t *stream, int fd)
{
	struct client *client = malloc(sizeof *client);
	uv_stream_t *pipe = (uv_stream_t *)&client->pipe;
	int err;

	if (!client)
		abort(); /* as V8 does; libuv would wait until this one is accepted, and hear nobody else */
	uv_pipe_init(stream->loop, &client->pipe, 0);
	client->server = (struct server *)stream;
	client->fd = -1;
	client->server->users++;
	err = fd < 0 ? uv_accept(stream, pipe) : uv_pipe_open(&client->pipe, fd);
	if (err && fd >= 0)
		close(fd);
	if (err || uv_fileno((uv_handle_t *)pipe, &fd) || !keep_client(client, fd))
		drop_client(client);
	else
		begin_client(client);
}

/* How many are accepted in a turn: to hear of each takes JavaScript a tenth of a millisecond. */
#define ACCEPTED_AT_ONCE 8

/*
 * libuv accepts one in a turn of its loop, and what that one wants is done in the same turn. So that JavaScript knows of
 * those who wait beside it, they are accepted with it.
 */
static void on_connection(uv_stream_t *stream, int status)
{
	uv_os_fd_t listening;

	/* One that cannot be accepted (EMFILE, ENFILE) libuv lets go: it hears nothing, and does its call itself. */
	if (status < 0)
		return;
	accept_client(stream, -1);
	for (int i = 1; i < ACCEPTED_AT_ONCE; i++) {
		int fd;

		/* What JavaScript has heard may have made it stop. */
		if (uv_fileno((uv_handle_t *)stream, &listening))
			return;
		fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			return;
		accept_client(stream, fd);
	}
}

static void free_server(uv_handle_t *handle)
{
	leave_server((struct server *)handle);
}

/* Not by uv_pipe_bind, with which libuv would remove at the end whatever lies at the path by then. @returns -errno */
static int bind_socket(const char *path, size_t length, int *fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int err;

	if (length >= sizeof address.sun_path)
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, length);
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd < 0)
		return -errno;
	if (!bind(*fd, (struct sockaddr *)&address, sizeof address))
		return 0;
	err = -errno;
	close(*fd);
	return err;
}

/* stop(): hears no new clients. The socket's file stays. */
static napi_value stop_server(napi_env env, napi_callback_info info)
{
	void *server;

	napi_get_cb_info(env, info, NULL, NULL, NULL, &server);
	uv_close(server, free_server);
	return NULL;
}

/* serve(path, backlog, onEvent) -> stop */
napi_value addon_serve(napi_env env, napi_callback_info info)
{
	napi_value argv[3], name, stop;
	size_t argc = 3, length;
	int32_t backlog;
	struct server *server;
	uv_loop_t *loop;
	napi_valuetype type;
	char *path;
	int err, fd;

	napi_get_cb_info(env, info, &argc, argv, NULL, NULL);
	if (argc < 3 || napi_get_value_int32(env, argv[1], &backlog) != napi_ok ||
	    napi_typeof(env, argv[2], &type) != napi_ok || type != napi_function) {
		napi_throw_type_error(env, NULL, "expected path, integer, function");
		return NULL;
	}
	path = string_argument(env, argv[0], &length);
	if (!path)
		return NULL;
	server = calloc(1, sizeof *server);
	if (!server) {
		free(path);
		return throw_errno(env, "malloc", ENOMEM);
	}
	server->env = env;
	server->users = 1;
	napi_create_reference(env, argv[2], 1, &server->callback);
	napi_create_string_utf8(env, "client", NAPI_AUTO_LENGTH, &name);
	napi_async_init(env, NULL, name, &server->context);
	napi_get_uv_event_loop(env, &loop);
	uv_pipe_init(loop, &server->pipe, 0);
	err = bind_socket(path, length, &fd);
	if (!err) {
		err = uv_pipe_open(&server->pipe, fd);
		if (err)
			close(fd);
		err = err ? err : uv_listen((uv_stream_t *)&server->pipe, backlog, on_connection);
		if (err)
			unlink(path);
	}
	free(path);
	if (err) {
		uv_close((uv_handle_t *)&server->pipe, free_server);
		return throw_errno(env, "listen", -err);
	}
	napi_create_function(env, "stop", NAPI_AUTO_LENGTH, stop_server, server, &stop);
	return stop;
}

/* The client that is the first argument, and the bytes of the second, when they are asked for. */
static struct client *client_argument(napi_env env, napi_callback_info info, void **bytes, size_t *length)
{
	napi_value argv[2];
	size_t argc = 2;
	int32_t fd;
	struct client *client;

	napi_get_cb_info(env, info, &argc, argv, NULL, NULL);
	if (argc < 1 || napi_get_value_int32(env, argv[0], &fd) != napi_ok ||
	    (bytes && (argc < 2 || napi_get_typedarray_info(env, argv[1], NULL, length, bytes, NULL, NULL) != napi_ok))) {
		napi_throw_type_error(env, NULL, bytes ? "expected client, bytes" : "expected client");
		return NULL;
	}
	client = find_client(fd);
	if (!client)
		throw_errno(env, "find client", ENOENT);
	return client;
}

static int try_write(struct client *client, void *bytes, size_t length)
{
	uv_buf_t buffer = uv_buf_init(bytes, (unsigned int)length);

	return uv_try_write((uv_stream_t *)&client->pipe, &buffer, 1);
}

/* isClientGone(client): it has closed its end, which libuv may be yet to hear. */
napi_value addon_is_client_gone(napi_env env, napi_callback_info info)
{
	struct client *client = client_argument(env, info, NULL, NULL);
	struct pollfd end = { .events = POLLRDHUP };
	napi_value result;

	if (!client)
		return NULL;
	end.fd = client->fd;
	napi_get_boolean(env, poll(&end, 1, 0) > 0, &result);
	return result;
}

/* clientPid(client) */
napi_value addon_client_pid(napi_env env, napi_callback_info info)
{
	struct client *client = client_argument(env, info, NULL, NULL);
	struct ucred peer = { 0 };
	socklen_t length = sizeof peer;
	napi_value result;

	if (!client)
		return NULL;
	getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &peer, &length);
	napi_create_int32(env, peer.pid, &result);
	return result;
}

/* tellClient(client, bytes): one that does not read gets no more; what is not sent would be ours to keep. */
napi_value addon_tell_client(napi_env env, napi_callback_info info)
{
	size_t length;
	void *bytes;
	struct client *client = client_argument(env, info, &bytes, &length);

	/* A few bytes are sent whole or not at all. */
	if (client)
		try_write(client, bytes, length);
	return NULL;
}

static void on_written(uv_write_t *request, int status)
{
	struct client *client = (struct client *)request->handle;

	free(request);
	if (!uv_is_closing((uv_handle_t *)&client->pipe))
		tell_gone(client);
}

/* @returns whether the rest is on its way */
static bool write_later(struct client *client, const unsigned char *bytes, size_t length)
{
	struct rest *rest = malloc(sizeof *rest + length);
	uv_buf_t buffer;

	if (!rest)
		return false;
	memcpy(rest->bytes, bytes, length);
	buffer = uv_buf_init((char *)rest->bytes, (unsigned int)length);
	if (uv_write(&rest->request, (uv_stream_t *)&client->pipe, &buffer, 1, on_written) == 0)
		return true;
	free(rest);
	return false;
}

/*
 * endClient(client, bytes, hasHeardAll) -> false when its end is yet to come, and will be told: some of the bytes wait until
 * it has read others, or it may be saying something still. Who is cut off in that may never read what it is told.
 */
napi_value addon_end_client(napi_env env, napi_callback_info info)
{
	size_t length, written, argc = 3;
	napi_value argv[3], result;
	void *bytes;
	struct client *client = client_argument(env, info, &bytes, &length);
	bool has_heard_all = true, is_over;
	int count;

	if (!client)
		return NULL;
	napi_get_cb_info(env, info, &argc, argv, NULL, NULL);
	napi_get_value_bool(env, argv[2], &has_heard_all);
	/* Who is left with something unread hears of a broken connection, and not of its end. */
	if (has_heard_all)
		recv(client->fd, incoming, sizeof incoming, MSG_DONTWAIT);
	count = try_write(client, bytes, length);
	written = count > 0 ? (size_t)count : 0;
	if (written < length && (count >= 0 || count == UV_EAGAIN))
		is_over = !write_later(client, (unsigned char *)bytes + written, length - written);
	else
		is_over = count < 0 || has_heard_all || shutdown(client->fd, SHUT_WR);
	if (is_over)
		drop_client(client);
	napi_get_boolean(env, is_over, &result);
	return result;
}

/* dropClient(client) */
napi_value addon_drop_client(napi_env env, napi_callback_info info)
{
	struct client *client = client_argument(env, info, NULL, NULL);

	if (client)
		drop_client(client);
	return NULL;
}

/* takeClient(client) -> a descriptor of the connection, which is no client any more. */
napi_value addon_take_client(napi_env env, napi_callback_info info)
{
	struct client *client = client_argument(env, info, NULL, NULL);
	napi_value result;
	int fd;

	if (!client)
		return NULL;
	fd = fcntl(client->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return throw_errno(env, "fcntl F_DUPFD_CLOEXEC", errno);
	drop_client(client);
	napi_create_int32(env, fd, &result);
	return result;
}
