/* message: a message that a script publishes, read from its table. */
#pragma once

#include "outbox/outbox.h"
#include "script_private.h"

#define MESSAGE_HEADERS_MAX 32
#define MESSAGE_HEADERS_MAX_BYTES 16384

/* Reads the message in the table at `at`, an absolute place of the stack, into the arena; its
 * source, which is borrowed, is the script's name. The fields, as scripts write them:
 *
 * - topic: string
 * - key: string of UTF-8; messages of one key leave in the order in which they were stored
 * - value: table, written as JSON with sorted keys, or a string that is JSON
 * - identity: string; says which fact this is, and a second message with it is not stored
 * - at: whole microseconds since 1970; when the fact came true
 * - headers: table of strings, or nil
 *
 * `call` is what the script did, for the errors, which it raises. In a guarded body. */
void message_read(lua_State *L, int at, const char *call, const char *source, struct arena *arena,
                  struct outbox_message *message);
