/*
 * Netlink on other threads than JavaScript's: requests go out in one datagram, and what the kernel answers comes back
 * together, as a promise.
 *
 * converse() is for what takes the kernel long: a socket of its own each time, on one of libuv's threads. relay() is for
 * a thread of JavaScript that has others to serve while the kernel works: one thread does it all, one after the other, on
 * sockets that nobody else reads (of two that read one list, one gets EINVAL: netlink_dump).
 */
#define _GNU_SOURCE
#include "addon.h"
#include <errno.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

/* What was asked, and what was answered. */
struct conversation {
	struct conversation *next;
	napi_async_work work;
	napi_deferred deferred;
	int fd;
	int err;
	struct answer *answers, **end;
	size_t length;
	unsigned char datagram[];
};

struct answer {
	struct answer *next;
	size_t length;
	unsigned char datagram[];
};

static struct conversation *begin_conversation(int fd, const void *bytes, size_t length)
{
	struct conversation *conversation = malloc(sizeof *conversation + length);

	if (!conversation)
		return NULL;
	*conversation = (struct conversation){ .fd = fd, .length = length };
	conversation->end = &conversation->answers;
	if (length > 0)
		memcpy(conversation->datagram, bytes, length);
	return conversation;
}

/* What was asked last: a request, and what ends a batch under its number. */
struct asked {
	bool is_any;
	uint32_t seq;
	uint16_t flags; /* of all that has the number */
};

static struct asked last_asked(const unsigned char *datagram, size_t length)
{
	const struct nlmsghdr *message = (const struct nlmsghdr *)datagram;
	struct asked last = { .is_any = false };
	ssize_t rest = (ssize_t)length;

	for (; NLMSG_OK(message, rest); message = NLMSG_NEXT(message, rest)) {
		bool is_same = last.is_any && message->nlmsg_seq == last.seq;

		last.flags = (is_same ? last.flags : 0) | message->nlmsg_flags;
		last.seq = message->nlmsg_seq;
		last.is_any = true;
	}
	return last;
}

/* Whether it acknowledges or refuses what was asked last, or ends its list; of what asks for neither, whether it answers. */
static bool is_last_answer(const unsigned char *datagram, ssize_t length, const struct asked *asked)
{
	const struct nlmsghdr *message = (const struct nlmsghdr *)datagram;
	bool is_single = !(asked->flags & (NLM_F_ACK | NLM_F_DUMP));

	for (; NLMSG_OK(message, length); message = NLMSG_NEXT(message, length))
		if (message->nlmsg_seq == asked->seq &&
		    (is_single || message->nlmsg_type == NLMSG_ERROR || message->nlmsg_type == NLMSG_DONE))
			return true;
	return false;
}

static int keep_answer(struct conversation *conversation, const unsigned char *datagram, size_t length)
{
	struct answer *answer = malloc(sizeof *answer + length);

	if (!answer)
		return ENOMEM;
	*answer = (struct answer){ .length = length };
	memcpy(answer->datagram, datagram, length);
	*conversation->end = answer;
	conversation->end = &answer->next;
	return 0;
}

static void converse(struct conversation *conversation)
{
	const struct asked asked = last_asked(conversation->datagram, conversation->length);
	unsigned char datagram[64 << 10]; /* more than the kernel puts into one of a list, by the reader's buffer */
	ssize_t sent;

	do
		sent = send(conversation->fd, conversation->datagram, conversation->length, 0);
	while (sent < 0 && errno == EINTR);
	if (sent < 0) {
		conversation->err = errno;
		return;
	}
	while (asked.is_any) {
		/* All that there is to say was said when send(2) returned; a list goes on as it is received. */
		ssize_t length = recv(conversation->fd, datagram, sizeof datagram, MSG_TRUNC | MSG_DONTWAIT);

		if (length < 0 && errno == EINTR)
			continue;
		/* A batch of nfnetlink that is refused as a whole is answered at its first message only. */
		if (length < 0 && errno == EAGAIN)
			return;
		if (length < 0)
			conversation->err = errno;
		else if ((size_t)length > sizeof datagram)
			conversation->err = EMSGSIZE;
		else
			conversation->err = keep_answer(conversation, datagram, (size_t)length);
		if (conversation->err || is_last_answer(datagram, length, &asked))
			return;
	}
}

/* Resolves its promise with the datagrams, and the errno of a socket that broke as the last; it is no more then. */
static void end_conversation(napi_env env, struct conversation *conversation)
{
	napi_value result, datagram, broken;
	uint32_t count = 0;

	napi_create_array(env, &result);
	for (struct answer *answer = conversation->answers, *next; answer; answer = next) {
		next = answer->next;
		napi_create_buffer_copy(env, answer->length, answer->datagram, NULL, &datagram);
		napi_set_element(env, result, count++, datagram);
		free(answer);
	}
	if (conversation->err) {
		napi_create_int32(env, conversation->err, &broken);
		napi_set_element(env, result, count, broken);
	}
	napi_resolve_deferred(env, conversation->deferred, result);
	free(conversation);
}

static void run_conversation(napi_env env, void *data)
{
	struct conversation *conversation = data;

	converse(conversation);
	/* Here, since the kernel may wait for a grace period when a socket of nfnetlink is closed. */
	close(conversation->fd);
}

static void complete_conversation(napi_env env, napi_status status, void *data)
{
	struct conversation *conversation = data;

	napi_delete_async_work(env, conversation->work);
	end_conversation(env, conversation);
}

/*
 * converse(fd, datagram) -> Promise of the answers' datagrams, and an errno at their end: sends, waits on another thread until
 * the last message is answered, and closes.
 */
napi_value addon_converse(napi_env env, napi_callback_info info)
{
	struct conversation *conversation;
	napi_value promise, name;
	int32_t fd;
	size_t length;
	void *bytes;

	if (!number_and_bytes(env, info, "descriptor", &fd, &bytes, &length))
		return NULL;
	conversation = begin_conversation(fd, bytes, length);
	if (!conversation) {
		close(fd);
		return throw_errno(env, "malloc", ENOMEM);
	}
	napi_create_promise(env, &conversation->deferred, &promise);
	napi_create_string_utf8(env, "netlink conversation", NAPI_AUTO_LENGTH, &name);
	napi_create_async_work(env, NULL, name, run_conversation, complete_conversation, conversation,
			       &conversation->work);
	napi_queue_async_work(env, conversation->work);
	return promise;
}

struct list {
	struct conversation *first, **end;
};

static void append(struct list *list, struct conversation *conversation)
{
	conversation->next = NULL;
	*list->end = conversation;
	list->end = &conversation->next;
}

static struct conversation *take_all(struct list *list)
{
	struct conversation *all = list->first;

	list->first = NULL;
	list->end = &list->first;
	return all;
}

static struct {
	napi_env env;
	napi_async_context context;
	uv_thread_t thread;
	bool is_running;
	int nice; /* of JavaScript's thread */
	uv_async_t has_answers;
	uv_mutex_t lock; /* of the lists */
	uv_cond_t has_work;
	struct list work, answered;
	size_t under_way; /* JavaScript's thread only */
} relay;

static struct conversation *take_work(void)
{
	struct conversation *all;

	uv_mutex_lock(&relay.lock);
	while (!relay.work.first)
		uv_cond_wait(&relay.has_work, &relay.lock);
	all = take_all(&relay.work);
	uv_mutex_unlock(&relay.lock);
	return all;
}

static void run_relay(void *unused)
{
	prctl(PR_SET_NAME, "netlink-relay");
	/* As the thread that waits for it, which does not hand that on; where it may not, others come first, no more. */
	setpriority(PRIO_PROCESS, 0, relay.nice);
	for (;;)
		for (struct conversation *one = take_work(), *next; one; one = next) {
			next = one->next;
			converse(one);
			uv_mutex_lock(&relay.lock);
			append(&relay.answered, one);
			uv_mutex_unlock(&relay.lock);
			uv_async_send(&relay.has_answers);
		}
}

/* What waits for the answer goes on when the scope is closed, and all that follows from it, before the next is heard of. */
static void resolve(struct conversation *conversation)
{
	napi_env env = relay.env;
	napi_handle_scope handles;
	napi_callback_scope scope;
	napi_value resource;

	napi_open_handle_scope(env, &handles);
	napi_create_object(env, &resource);
	napi_open_callback_scope(env, resource, relay.context, &scope);
	end_conversation(env, conversation);
	napi_close_callback_scope(env, scope);
	napi_close_handle_scope(env, handles);
}

static void hand_over(uv_async_t *handle)
{
	struct conversation *one, *next;

	uv_mutex_lock(&relay.lock);
	one = take_all(&relay.answered);
	uv_mutex_unlock(&relay.lock);
	for (; one; one = next) {
		next = one->next;
		if (--relay.under_way == 0)
			uv_unref((uv_handle_t *)handle);
		resolve(one);
	}
}

/* @returns 0, or the errno of a thread that cannot be had */
static int start_relay(napi_env env)
{
	uv_loop_t *loop;
	napi_value name;
	int err;

	if (!relay.env) {
		relay.env = env;
		relay.work.end = &relay.work.first;
		relay.answered.end = &relay.answered.first;
		uv_mutex_init(&relay.lock);
		uv_cond_init(&relay.has_work);
		napi_create_string_utf8(env, "netlink relay", NAPI_AUTO_LENGTH, &name);
		napi_async_init(env, NULL, name, &relay.context);
		napi_get_uv_event_loop(env, &loop);
		uv_async_init(loop, &relay.has_answers, hand_over);
		uv_unref((uv_handle_t *)&relay.has_answers);
	}
	relay.nice = getpriority(PRIO_PROCESS, 0);
	err = uv_thread_create(&relay.thread, run_relay, NULL);
	relay.is_running = err == 0;
	return -err;
}

/*
 * relay(fd, datagram) -> Promise of the answers' datagrams, and an errno at their end: one other thread sends and receives, in the
 * order of the calls. The socket must stay open meanwhile.
 */
napi_value addon_relay(napi_env env, napi_callback_info info)
{
	struct conversation *conversation;
	napi_value promise;
	size_t length;
	int32_t fd;
	void *bytes;
	int err;

	if (!number_and_bytes(env, info, "descriptor", &fd, &bytes, &length))
		return NULL;
	err = relay.is_running ? 0 : start_relay(env);
	if (err)
		return throw_errno(env, "pthread_create", err);
	conversation = begin_conversation(fd, bytes, length);
	if (!conversation)
		return throw_errno(env, "malloc", ENOMEM);
	napi_create_promise(env, &conversation->deferred, &promise);
	if (relay.under_way++ == 0)
		uv_ref((uv_handle_t *)&relay.has_answers);
	uv_mutex_lock(&relay.lock);
	append(&relay.work, conversation);
	uv_mutex_unlock(&relay.lock);
	uv_cond_signal(&relay.has_work);
	return promise;
}
