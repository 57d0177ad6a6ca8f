/* wire: commands and replies as bytes on the way between a client and the model of Redis.
 *
 *     command:  2 bytes of length, then a count of arguments, then the arguments: 2 bytes of length
 *               and their bytes (a script's text as its number: length 0xFFFF and a byte), then the
 *               versions that an announcement speaks of
 *     reply:    2 bytes of length, then a value (a letter of its type, then an integer, a text or
 *               values), then the versions that a message speaks of */
#pragma once

#include "base/slice.h"
#include "world.h"

#define ARGUMENTS 24

struct command {
    int count;
    struct slice args[ARGUMENTS];
    struct versions speaks_of;
};

/* A value under construction or being read. */
struct value {
    int len;
    char bytes[WIRE_BYTES];
};

void value_integer(struct value *value, int64_t integer);
void value_text(struct value *value, char type, struct slice text); /* '$', '+' or '-' */
void value_nil(struct value *value);
void value_array(struct value *value, int count); /* its elements follow */

void wire_put(struct wire *wire, const char *bytes, int len);
/* Puts a length of two bytes in front. */
void wire_put_counted(struct wire *wire, const char *bytes, int len);
void wire_drop_first(struct wire *wire);
int wire_number(const char *bytes); /* of two bytes */
void wire_read_command(const struct wire *wire, struct command *command);
