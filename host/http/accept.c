#include "accept.h"

#include <strings.h>

static struct slice accept_trimmed(struct slice text) {
    while (text.len > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++, text.len--;
    }
    while (text.len > 0 && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t')) {
        text.len--;
    }
    return text;
}

/* Cuts the part before the mark off *rest. */
static struct slice accept_cut(struct slice *rest, char mark) {
    const char *end = rest->len > 0 ? memchr(rest->data, mark, rest->len) : NULL;
    size_t len = end ? (size_t)(end - rest->data) : rest->len;
    struct slice part = {rest->data, len};
    rest->data += len + (end != NULL);
    rest->len -= len + (end != NULL);
    return accept_trimmed(part);
}

/* "0.5" → 500; -1: malformed. */
static int accept_read_quality(struct slice text) {
    int quality = 0, unit = 1000;
    if (text.len == 0 || text.len > 5 || (text.data[0] != '0' && text.data[0] != '1')) {
        return -1;
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (i == 1 ? c != '.' : c < '0' || c > '9') {
            return -1;
        }
        if (i != 1) {
            quality += (c - '0') * unit;
            unit /= 10;
        }
    }
    return quality <= 1000 ? quality : -1;
}

/* Of the item's parameters; 1000 without q. */
static int accept_quality_of(struct slice parameters) {
    while (parameters.len > 0) {
        struct slice parameter = accept_cut(&parameters, ';');
        if (parameter.len >= 2 && strncasecmp(parameter.data, "q=", 2) == 0) {
            return accept_read_quality((struct slice){parameter.data + 2, parameter.len - 2});
        }
    }
    return 1000;
}

int accept_quality(struct slice list, const char *item) {
    size_t len = strlen(item);
    while (list.len > 0) {
        struct slice rest = accept_cut(&list, ',');
        struct slice name = accept_cut(&rest, ';');
        if (name.len == len && strncasecmp(name.data, item, len) == 0) {
            return accept_quality_of(rest);
        }
    }
    return -1;
}
