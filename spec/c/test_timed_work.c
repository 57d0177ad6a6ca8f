/* timed_work: the caller continues at its deadline; abandoned work frees itself. */
#include "base/timed_work.h"
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static _Atomic int destroyed;
static char fifo[] = "/tmp/timed-work-XXXXXX";

struct reading {
    char path[64];
    bool done;
};

static struct reading *reading_of(const char *path) {
    struct reading *reading = calloc(1, sizeof *reading);
    snprintf(reading->path, sizeof reading->path, "%s", path);
    return reading;
}

static void read_file(void *context) {
    struct reading *reading = context;
    int fd = open(reading->path, O_RDONLY | O_CLOEXEC); /* of a FIFO: waits for a writer */
    if (fd >= 0) {
        close(fd);
    }
    reading->done = true;
}

static void destroy(void *context) {
    free(context);
    destroyed++;
}

static const struct timed_work work = {"reading a test's file", read_file, destroy};

static void make_fifo(void) {
    close(mkstemp(fifo));
    unlink(fifo);
    CHECK(mkfifo(fifo, 0600) == 0);
}

static void let_go(void) {
    int fd = open(fifo, O_RDWR | O_CLOEXEC);
    WAIT_UNTIL(timed_work_abandoned() == 0);
    close(fd);
}

static void finished_work_returns_its_context(void) {
    struct err err = {0};
    struct reading *reading = reading_of("/dev/null");
    CHECK_OK(timed_work_run(&work, reading, 10000, &err), &err);
    CHECK(reading->done);
    CHECK_INT(timed_work_abandoned(), 0);
    free(reading);
}

static void work_that_hangs_is_left_at_its_deadline_and_frees_itself_later(void) {
    struct err err = {0};
    destroyed = 0;
    CHECK(!timed_work_run(&work, reading_of(fifo), 50, &err));
    CHECK_INT(err.kind, ERR_TIMEOUT);
    CHECK_HAS(err.text, "reading a test's file: timed out after 50 ms");
    CHECK_INT(timed_work_abandoned(), 1);
    CHECK_INT(destroyed, 0);
    let_go();
    CHECK_INT(destroyed, 1);
}

static void so_much_is_left_behind_and_no_more(void) {
    struct err err = {0};
    destroyed = 0;
    for (int i = 0; i < TIMED_WORK_ABANDONED_MAX; i++) {
        CHECK(!timed_work_run(&work, reading_of(fifo), 1, &err));
    }
    err = (struct err){0};
    CHECK(!timed_work_run(&work, reading_of("/dev/null"), 10000, &err));
    CHECK_INT(err.kind, ERR_UNAVAILABLE);
    CHECK_HAS(err.text, "8 earlier threads hang");
    CHECK_INT(destroyed, 1);
    let_go();
    CHECK_INT(destroyed, 1 + TIMED_WORK_ABANDONED_MAX);
}

static const struct test_case cases[] = {
    {"finished work returns its context", finished_work_returns_its_context},
    {"work that hangs is abandoned at its deadline and frees itself at its end",
     work_that_hangs_is_left_at_its_deadline_and_frees_itself_later},
    {"the amount of abandoned work is bounded", so_much_is_left_behind_and_no_more},
};

int main(int argc, char **argv) {
    make_fifo();
    int status = test_run(cases, sizeof cases / sizeof *cases, argc, argv);
    unlink(fifo);
    return status;
}
