/* Commands that no Redis has: a module without its header, of which it needs five functions. */

#include <string.h>

typedef struct Context Context;
typedef struct String String;

static int (*create_command)(Context *, const char *, int (*)(Context *, String **, int), const char *, int, int, int);
static int (*set_attributes)(Context *, const char *, int, int);
static void *(*call)(Context *, const char *, const char *, ...);
static int (*reply_with_call)(Context *, void *);
static int (*reply_with_long)(Context *, long long);
static int (*wrong_arity)(Context *);
static int (*is_keys_request)(Context *);
static void (*key_at)(Context *, int);
static int (*string_to_long)(const String *, long long *);
static void *(*block_client)(Context *, int (*)(Context *, String **, int), int (*)(Context *, String **, int), void *, long long);

static int set(Context *context, String **argv, int argc) {
    if (argc != 3) return wrong_arity(context);
    return reply_with_call(context, call(context, "SET", "ss", argv[1], argv[2]));
}

/* mod.count N key...: how many of them there are. */
static int count(Context *context, String **argv, int argc) {
    long long keys = 0;
    int fits = argc >= 2 && string_to_long(argv[1], &keys) == 0 && keys == argc - 2;
    if (is_keys_request(context)) {
        for (int at = 2; fits && at < argc; at++) key_at(context, at);
        return 0;
    }
    if (!fits) return wrong_arity(context);
    return reply_with_call(context, call(context, "EXISTS", "v", argv + 2, (size_t)keys));
}

static int late(Context *context, String **argv, int argc) {
    (void)argv, (void)argc;
    return reply_with_long(context, 42);
}

/* mod.wait key: blocks for a second. */
static int wait_for(Context *context, String **argv, int argc) {
    (void)argv;
    if (argc != 2) return wrong_arity(context);
    block_client(context, late, late, NULL, 1000);
    return 0;
}

int RedisModule_OnLoad(Context *context, String **argv, int argc) {
    (void)argv, (void)argc;
    int (*get)(const char *, void *) = (int (*)(const char *, void *))((void **)context)[0];
    get("RedisModule_CreateCommand", (void *)&create_command);
    get("RedisModule_SetModuleAttribs", (void *)&set_attributes);
    get("RedisModule_Call", (void *)&call);
    get("RedisModule_ReplyWithCallReply", (void *)&reply_with_call);
    get("RedisModule_ReplyWithLongLong", (void *)&reply_with_long);
    get("RedisModule_WrongArity", (void *)&wrong_arity);
    get("RedisModule_IsKeysPositionRequest", (void *)&is_keys_request);
    get("RedisModule_KeyAtPos", (void *)&key_at);
    get("RedisModule_StringToLongLong", (void *)&string_to_long);
    get("RedisModule_BlockClient", (void *)&block_client);
    set_attributes(context, "mod", 1, 1);
    return create_command(context, "mod.set", set, "write", 1, 1, 1)
        || create_command(context, "mod.count", count, "readonly getkeys-api", 0, 0, 0)
        || create_command(context, "mod.wait", wait_for, "readonly blocking", 1, 1, 1);
}
