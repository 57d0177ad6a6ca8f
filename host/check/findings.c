#include "findings.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json_put.h"

#define PATH_CAP 4096

static const char *const finding_levels[] = {"good", "warning", "error"};

enum findings_format findings_format_of(const char *name) {
    return !name || strcmp(name, "text") == 0 ? FINDINGS_TEXT
           : strcmp(name, "json") == 0        ? FINDINGS_JSON
                                              : FINDINGS_GITHUB;
}

/* A part of the text about one place. */
struct finding {
    char file[PATH_CAP]; /* "": none */
    long line;           /* 0: none */
    struct slice text;   /* without the place */
};

/* The length of "FILE:LINE: " or "FILE: " at the start of the line, if FILE exists; else 0. */
static size_t findings_read_place(struct finding *finding, const char *at) {
    size_t len = strcspn(at, ": \t\n");
    finding->file[0] = '\0';
    finding->line = 0;
    if (len == 0 || len >= PATH_CAP || at[len] != ':') {
        return 0;
    }
    memcpy(finding->file, at, len);
    finding->file[len++] = '\0';
    if (access(finding->file, F_OK) != 0) {
        finding->file[0] = '\0';
        return 0;
    }
    if (isdigit((unsigned char)at[len])) {
        char *end;
        finding->line = strtol(at + len, &end, 10);
        len = (size_t)(end - at) + (*end == ':');
    }
    return len + (at[len] == ' ');
}

/* Below the working folder: annotations take paths of the repository. */
static const char *findings_relative(const char *path) {
    char folder[PATH_CAP];
    size_t len = getcwd(folder, sizeof folder) ? strlen(folder) : 0;
    return len > 1 && strncmp(path, folder, len) == 0 && path[len] == '/' ? path + len + 1 : path;
}

/* Data of a workflow command, and the value of its property: GitHub, "Workflow commands for GitHub
 * Actions"; the escapes are those of actions/toolkit, packages/core/src/command.ts. */
static void findings_print_escaped(struct slice text, bool is_property) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (strchr(is_property ? "%\r\n:," : "%\r\n", c)) {
            printf("%%%02X", (unsigned char)c);
        } else {
            putchar(c);
        }
    }
}

static void findings_annotate(const struct finding *finding, enum finding_level level,
                              const char *about) {
    if (level == FINDING_GOOD) {
        printf("%s: %.*s\n", about, (int)finding->text.len, finding->text.data);
        return;
    }
    printf("::%s title=%s", finding_levels[level], about);
    if (finding->file[0]) {
        fputs(",file=", stdout);
        findings_print_escaped(slice_of(findings_relative(finding->file)), true);
    }
    if (finding->line > 0) {
        printf(",line=%ld", finding->line);
    }
    fputs("::", stdout);
    findings_print_escaped(finding->text, false);
    putchar('\n');
}

static void findings_put(struct buffer *json, const struct finding *finding,
                         enum finding_level level, const char *about) {
    json_open(json, NULL, "{");
    json_put_text(json, "level", slice_of(finding_levels[level]));
    json_put_text(json, "about", slice_of(about));
    json_put_text(json, "file",
                  finding->file[0] ? slice_of(findings_relative(finding->file))
                                   : (struct slice){0});
    if (finding->line > 0) {
        json_put_int(json, "line", finding->line);
    } else {
        json_put_text(json, "line", (struct slice){0});
    }
    json_put_text(json, "text", finding->text);
    buffer_append_text(json, "}");
}

static void findings_print_text(enum finding_level level, const char *about, const char *text) {
    fprintf(level == FINDING_GOOD ? stdout : stderr, "%s: %s\n",
            level == FINDING_WARNING ? "warning" : about, text);
}

/* The start of the next line that names a place; the end of the text: none. */
static const char *findings_next(const char *at) {
    struct finding ignored;
    for (const char *line = strchr(at, '\n'); line; line = strchr(line + 1, '\n')) {
        if (findings_read_place(&ignored, line + 1) > 0) {
            return line + 1;
        }
    }
    return at + strlen(at);
}

bool findings_add(struct findings *findings, enum finding_level level, const char *about,
                  const char *text) {
    findings->errors += level == FINDING_ERROR;
    if (findings->format == FINDINGS_TEXT) {
        findings_print_text(level, about, text);
        return level < FINDING_ERROR;
    }
    for (const char *at = text, *next; *at; at = next) {
        struct finding finding;
        next = findings_next(at);
        const char *from = at + findings_read_place(&finding, at);
        finding.text = (struct slice){from, (size_t)(next - from) - (*next != '\0')};
        if (findings->format == FINDINGS_JSON) {
            findings_put(&findings->json, &finding, level, about);
        } else {
            findings_annotate(&finding, level, about);
        }
    }
    return level < FINDING_ERROR;
}

int findings_finish(struct findings *findings) {
    if (findings->format == FINDINGS_JSON) {
        struct buffer json = {0};
        json_open(&json, NULL, "{");
        json_put_bool(&json, "good", findings->errors == 0);
        json_put_list(&json, "findings", &findings->json);
        buffer_append_text(&json, "}");
        puts(json.data);
        buffer_free(&json);
    }
    buffer_free(&findings->json);
    return findings->errors == 0 ? 0 : 1;
}
