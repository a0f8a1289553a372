/* What the files of the addon have of each other. */
#include <node_api.h>

napi_value throw_errno(napi_env env, const char *call, int err);

/* @returns a string argument, to be freed; NULL, and a TypeError is thrown, when it is none */
char *string_argument(napi_env env, napi_value value, size_t *length);

napi_value addon_serve(napi_env env, napi_callback_info info);
napi_value addon_is_client_gone(napi_env env, napi_callback_info info);
napi_value addon_tell_client(napi_env env, napi_callback_info info);
napi_value addon_end_client(napi_env env, napi_callback_info info);
napi_value addon_drop_client(napi_env env, napi_callback_info info);
napi_value addon_take_client(napi_env env, napi_callback_info info);

napi_value addon_converse(napi_env env, napi_callback_info info);
napi_value addon_relay(napi_env env, napi_callback_info info);
