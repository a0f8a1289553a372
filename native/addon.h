/* What the files of the addon have of each other. */
#include <node_api.h>

napi_value throw_errno(napi_env env, const char *call, int err);

/* @returns a string argument, to be freed; NULL, and a TypeError is thrown, when it is none */
char *string_argument(napi_env env, napi_value value, size_t *length);

/* Two arguments: an integer, called `what` in a TypeError, and bytes. @returns 0, and it is thrown, when they are something else */
int number_and_bytes(napi_env env, napi_callback_info info, const char *what, int32_t *number, void **bytes, size_t *length);

/* @returns a netlink socket in the calling thread's namespace, with our options; -1, and an error is thrown, when there is none */
int open_netlink(napi_env env, int protocol);

napi_value addon_serve(napi_env env, napi_callback_info info);
napi_value addon_is_client_gone(napi_env env, napi_callback_info info);
napi_value addon_client_pid(napi_env env, napi_callback_info info);
napi_value addon_tell_client(napi_env env, napi_callback_info info);
napi_value addon_end_client(napi_env env, napi_callback_info info);
napi_value addon_drop_client(napi_env env, napi_callback_info info);
napi_value addon_take_client(napi_env env, napi_callback_info info);

napi_value addon_converse(napi_env env, napi_callback_info info);
napi_value addon_relay(napi_env env, napi_callback_info info);
