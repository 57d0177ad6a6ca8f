/* log: whole lines, valid JSON, and no reader can block the service. */
#include "base/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/json_scan.h"
#include "base/redact.h"
#include "captured.h"
#include "test.h"

static bool is_json(const char *line, size_t len) {
    struct json_cursor cursor;
    struct json_value value;
    json_begin(&cursor, (struct slice){line, len});
    return json_read(&cursor, &value) && json_finish(&cursor) && value.type == JSON_OBJECT;
}

/* Every line of the text is a JSON object (empty ones aside); returns how many. */
static size_t check_lines(const char *from) {
    size_t count = 0;
    for (const char *end; (end = strchr(from, '\n')); from = end + 1) {
        if (end > from) {
            count++;
            if (!is_json(from, (size_t)(end - from))) {
                TEST_FAIL("not JSON: %.*s", (int)(end - from), from);
                return count;
            }
        }
    }
    CHECK_TEXT(from, "");
    return count;
}

static void lines_are_json_whatever_is_in_them(void) {
    captured_begin();
    log_set_correlation_id(slice_of("c\"\n\xFF"));
    log_set_trace_id(slice_of("4bf92f3577b34da6a3ce929d0e0e4736"));
    log_info("said", LOG_TEXT("text", "a\nb\"\xC3"), LOG_INT("number", -5),
             LOG_TEXT("absent", NULL), LOG_SLICE("bytes", ((struct slice){"\0x", 2})));
    log_set_trace_id((struct slice){0});
    char *got = captured_take();
    captured_end();
    CHECK_INT(check_lines(got), 1);
    CHECK_HAS(got, "\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\"");
    CHECK_HAS(got, "\"message\":\"said\"");
    CHECK_HAS(got, "\"number\":-5");
    CHECK_HAS(got, "\"text\":\"a\\nb\\\"\xEF\xBF\xBD\"");
    CHECK_HAS(got, "\"bytes\":\"\\u0000x\"");
    CHECK_HAS(got, "\"correlation_id\":\"c\\\"\\n\xEF\xBF\xBD\"");
    CHECK(!strstr(got, "absent"));
}

static void levels_are_kept(void) {
    captured_begin();
    log_configure(LOG_WARNING, false);
    log_info("no");
    log_warning("yes");
    char *got = captured_take();
    captured_end();
    CHECK(!strstr(got, "no"));
    CHECK_HAS(got, "\"level\":\"warning\"");
    enum log_level level;
    CHECK(log_level_parse("DEBUG", &level) && level == LOG_DEBUG);
    CHECK(log_level_parse("warn", &level) && level == LOG_WARNING);
    CHECK(log_level_parse("Critical", &level) && level == LOG_ERROR);
    CHECK(!log_level_parse("loud", &level));
}

static void *write_one(void *argument) {
    (void)argument;
    log_info("from another thread");
    return NULL;
}

static void a_muted_thread_logs_nothing(void) {
    pthread_t other;
    captured_begin();
    log_mute(true);
    log_error("no");
    pthread_create(&other, NULL, write_one, NULL);
    pthread_join(other, NULL);
    log_mute(false);
    log_info("yes");
    char *got = captured_take();
    captured_end();
    CHECK_INT(check_lines(got), 2);
    CHECK_HAS(got, "from another thread");
    CHECK_HAS(got, "\"message\":\"yes\"");
}

static void text_lines_are_readable(void) {
    captured_begin();
    log_configure(LOG_INFO, true);
    log_error("it broke", LOG_TEXT("why", "two\nlines"));
    char *got = captured_take();
    captured_end();
    CHECK_HAS(got, " error   it broke why=\"two\\nlines\"\n");
}

static void *write_many(void *argument) {
    log_set_correlation_id(slice_of(argument));
    for (int i = 0; i < 200; i++) {
        log_info("from a thread", LOG_INT("i", i), LOG_TEXT("padding", "................."));
    }
    return NULL;
}

static void threads_do_not_mix_their_lines(void) {
    captured_begin();
    fcntl(STDERR_FILENO, F_SETPIPE_SZ, 1 << 20);
    pthread_t threads[4];
    static char *const names[] = {"one", "two", "three", "four"};
    for (size_t i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, write_many, names[i]);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    char *got = captured_take();
    captured_end();
    CHECK_INT(check_lines(got), 800);
    CHECK_HAS(got, "\"correlation_id\":\"three\"");
}

static void a_reader_that_stops_blocks_no_thread(void) {
    captured_begin();
    char padding[2000];
    memset(padding, 'p', sizeof padding - 1);
    padding[sizeof padding - 1] = '\0';
    for (int i = 0; i < 200; i++) { /* five times what the pipe holds */
        log_info("unread", LOG_TEXT("padding", padding));
    }
    size_t before = check_lines(captured_take());
    log_info("read again");
    char *got = captured_take();
    captured_end();
    CHECK(before > 10 && before < 200);
    CHECK_INT(check_lines(got), 2);
    char want[32];
    snprintf(want, sizeof want, "\"lines\":%zu", 200 - before);
    CHECK_HAS(got, want);
    CHECK_HAS(got, "\"message\":\"read again\"");
}

/* RLIMIT_FSIZE is the full disk. */
static void a_full_disk_is_named_and_leaves_whole_lines(void) {
    static char got[4096];
    FILE *file = tmpfile();
    struct rlimit before;
    CHECK(file && getrlimit(RLIMIT_FSIZE, &before) == 0);
    struct rlimit full = {.rlim_cur = 200, .rlim_max = before.rlim_max};
    int kept_fd = dup(STDERR_FILENO);
    signal(SIGXFSZ, SIG_IGN);
    log_configure(LOG_INFO, false);
    dup2(fileno(file), STDERR_FILENO);
    setrlimit(RLIMIT_FSIZE, &full);
    for (int i = 0; i < 10; i++) {
        log_info("said", LOG_TEXT("text", "the file has room for one"));
    }
    setrlimit(RLIMIT_FSIZE, &before);
    log_info("there is room");
    dup2(kept_fd, STDERR_FILENO);
    close(kept_fd);
    ssize_t len = pread(fileno(file), got, sizeof got - 1, 0);
    got[len > 0 ? len : 0] = '\0';
    fclose(file);
    CHECK_INT(check_lines(got), 3);
    CHECK_HAS(got, "log lines were dropped: standard error could not be written");
    CHECK_HAS(got, "\"lines\":9,\"error\":\"File too large\"");
    CHECK_HAS(got, "there is room");
}

static void a_closed_standard_error_is_harmless(void) {
    captured_begin();
    close(captured_reading);
    log_info("nobody is there");
    log_info("still nobody");
    dup2(captured_kept_fd, STDERR_FILENO);
    close(captured_kept_fd);
}

/* librdkafka's own lines come as a field, and may quote its settings. */
static void a_secret_is_in_no_line(void) {
    redact_add(slice_of("broker-s-secret"));
    captured_begin();
    log_warning("kafka", LOG_TEXT("text", "sasl: broker-s-secret was refused"));
    const char *lines = captured_take();
    captured_end();
    CHECK_HAS(lines, "sasl: *** was refused");
    CHECK(!strstr(lines, "broker-s-secret"));
}

static const struct test_case cases[] = {
    {"lines are JSON whatever is in them", lines_are_json_whatever_is_in_them},
    {"levels are kept", levels_are_kept},
    {"a muted thread logs nothing", a_muted_thread_logs_nothing},
    {"text lines are readable", text_lines_are_readable},
    {"threads do not mix their lines", threads_do_not_mix_their_lines},
    {"a reader that stops blocks no thread", a_reader_that_stops_blocks_no_thread},
    {"a full disk is named and leaves whole lines", a_full_disk_is_named_and_leaves_whole_lines},
    {"a closed standard error is harmless", a_closed_standard_error_is_harmless},
    {"a secret is in no line", a_secret_is_in_no_line},
};

TEST_MAIN(cases)
