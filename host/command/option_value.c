#include "option_value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/timestamp.h"
#include "explain/explain.h"

static void *option_value_field_of(const struct option_spec *option, struct command *command) {
    return (char *)command + option->offset;
}

static bool option_value_refuse_value(const struct option_spec *option, const char *text,
                                      const char *wanted, struct err *err) {
    return err_set(err, ERR_INPUT, "--%s is \"%s\": say %s", option->name, text, wanted);
}

static bool option_value_set_word(const struct option_spec *option, const char *text,
                                  const char **out, struct err *err) {
    for (size_t i = 0; option->words[i]; i++) {
        if (strcasecmp(option->words[i], text) == 0) {
            *out = option->words[i];
            return true;
        }
    }
    char wanted[128] = "";
    for (size_t i = 0, len = 0; option->words[i] && len < sizeof wanted; i++) {
        len += (size_t)snprintf(wanted + len, sizeof wanted - len, "%s%s", i ? ", " : "",
                                option->words[i]);
    }
    return option_value_refuse_value(option, text, wanted, err);
}

/* Digits, maybe behind a minus; neither blanks nor a plus. */
static bool option_value_set_whole(const struct option_spec *option, const char *text, int64_t *out,
                                   struct err *err) {
    const char *digits = text + (text[0] == '-');
    errno = 0;
    long long number = strtoll(text, NULL, 10);
    if (*digits && digits[strspn(digits, "0123456789")] == '\0' && errno == 0 &&
        number >= option->min && number <= option->max) {
        *out = number;
        return true;
    }
    return err_set(err, ERR_INPUT,
                   "--%s is \"%s\": say a whole number from %" PRId64 " to %" PRId64, option->name,
                   text, option->min, option->max);
}

static bool option_value_set_percent(const struct option_spec *option, const char *text,
                                     double *out, struct err *err) {
    char *end;
    *out = strtod(text, &end);
    return (text[strspn(text, "0123456789.")] == '\0' && *end == '\0' && *out <= 100) ||
           option_value_refuse_value(option, text, "a number from 0 to 100", err);
}

#define WANTED_TIME "a time of the years 1970 to 9999, as 2026-01-31T08:00:00Z"

static bool option_value_set_time(const struct option_spec *option, const char *text, int64_t *out,
                                  struct err *err) {
    bool may_be_word = option->kind == OPTION_SINCE;
    if (may_be_word && strcmp(text, "beginning") == 0) {
        *out = EXPLAIN_SINCE_BEGINNING;
        return true;
    }
    return (timestamp_parse(slice_of(text), out) && *out >= 0) ||
           option_value_refuse_value(option, text,
                                     may_be_word ? WANTED_TIME ", or beginning" : WANTED_TIME, err);
}

static bool option_value_add_text(const struct option_spec *option, const char *text,
                                  struct command_texts *texts, struct err *err) {
    if (texts->count == COMMAND_TEXTS_MAX) {
        return err_set(err, ERR_INPUT, "--%s is given more than %d times", option->name,
                       COMMAND_TEXTS_MAX);
    }
    texts->items[texts->count++] = text;
    return true;
}

bool option_value_set(const struct option_spec *option, const char *text, struct command *command,
                      struct err *err) {
    void *field = option_value_field_of(option, command);
    if (!text) {
        *(bool *)field = true;
        return true;
    }
    if (!*text) {
        return err_set(err, ERR_INPUT, "--%s is empty: say %s", option->name, option->value);
    }
    switch (option->kind) {
    case OPTION_SWITCH:
        break;
    case OPTION_TEXT:
        *(const char **)field = text;
        return true;
    case OPTION_TEXTS:
        return option_value_add_text(option, text, field, err);
    case OPTION_WORD:
        return option_value_set_word(option, text, field, err);
    case OPTION_WHOLE:
        return option_value_set_whole(option, text, field, err);
    case OPTION_PERCENT:
        return option_value_set_percent(option, text, field, err);
    case OPTION_TIME:
    case OPTION_SINCE:
        return option_value_set_time(option, text, field, err);
    }
    return err_set(err, ERR_INTERNAL, "--%s takes no value", option->name);
}

void option_value_default(const struct option_spec *option, struct command *command) {
    void *field = option_value_field_of(option, command);
    switch (option->kind) {
    case OPTION_WHOLE:
    case OPTION_TIME:
    case OPTION_SINCE:
        *(int64_t *)field = option->fallback;
        break;
    case OPTION_PERCENT:
        *(double *)field = (double)option->fallback;
        break;
    case OPTION_SWITCH:
    case OPTION_TEXT:
    case OPTION_TEXTS:
    case OPTION_WORD:
        break; /* false, NULL, none: as the struct begins */
    }
}
