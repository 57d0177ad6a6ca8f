/* scaffold_service: the files of `aggregator new service`, of the templates in scaffold/service. */
#include <stdio.h>
#include <string.h>

#include "scaffold.h"
#include "script/text_report.h"
#include "new_failures.lua.h"

struct scaffold_text {
    const char *name; /* of the file, in the folder of the service */
    const unsigned char *text;
    size_t len;
};

#include "scaffold_service_texts.h"

#define TEXTS (sizeof scaffold_service_texts / sizeof *scaffold_service_texts)
_Static_assert(TEXTS < SCAFFOLD_MAX_FILES, "one more is the library of failures");

/* `@name@` is the service's name; in `@topic@` dots stand for its underscores, which Kafka takes
 * for the same. */
static void scaffold_service_append(struct buffer *out, const char *text, const char *name) {
    for (const char *at = text; *at;) {
        bool is_name = strncmp(at, "@name@", 6) == 0, is_topic = strncmp(at, "@topic@", 7) == 0;
        for (const char *c = name; (is_name || is_topic) && *c; c++) {
            buffer_append(out, is_topic && *c == '_' ? "." : c, 1);
        }
        size_t plain = is_name || is_topic ? 0 : 1;
        buffer_append(out, at, plain);
        at += is_name ? 6 : is_topic ? 7 : plain;
    }
}

static void scaffold_service_add(struct scaffold *scaffold, const char *name, const char *path,
                                 const char *text) {
    struct scaffold_file *file = &scaffold->files[scaffold->count++];
    snprintf(file->path, sizeof file->path, "%s/%s", name, path);
    scaffold_service_append(&file->text, text, name);
}

void scaffold_fill_service(struct scaffold *scaffold, const char *name) {
    for (size_t i = 0; i < TEXTS; i++) {
        scaffold_service_add(scaffold, name, scaffold_service_texts[i].name,
                             (const char *)scaffold_service_texts[i].text);
    }
    scaffold_service_add(scaffold, name, "scripts/lib/failures.lua",
                         EMBEDDED(new_failures_lua).data);
}
