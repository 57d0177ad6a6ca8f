/* environment_file: variables from the file beside the configuration. */
#include "config/environment_file.h"

#include <unistd.h>

#include "test.h"

static char folder[] = "/tmp/test_environment_file.XXXXXX";
static char config_path[64], path[64];
static struct err err;

static bool read_text(const char *text) {
    FILE *file = fopen(path, "w");
    CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
    err_clear(&err);
    return environment_file_read(config_path, &err);
}

/* The text is refused at the line. */
static void refuses(const char *text, int line) {
    char wanted[160];
    snprintf(wanted, sizeof wanted, "%s:%d: must be NAME=value, or a comment behind #", path, line);
    CHECK(!read_text(text));
    CHECK_TEXT(err.text, wanted);
    CHECK_INT(err.kind, ERR_INPUT);
}

static void a_value_is_all_behind_the_equals_sign(void) {
    CHECK_OK(read_text("# keys\n\nT_PLAIN=a=b # c\n T_BLANKS=\t x y \r\nT_DOUBLE=\" d \"\n"
                       "T_SINGLE='s'\nT_ONE=\"\nT_LAST=end"),
             &err);
    CHECK_TEXT(getenv("T_PLAIN"), "a=b # c");
    CHECK_TEXT(getenv("T_BLANKS"), "x y");
    CHECK_TEXT(getenv("T_DOUBLE"), " d ");
    CHECK_TEXT(getenv("T_SINGLE"), "s");
    CHECK_TEXT(getenv("T_ONE"), "\"");
    CHECK_TEXT(getenv("T_LAST"), "end");
}

static void a_variable_of_the_process_wins(void) {
    setenv("T_OWN", "process", 1);
    setenv("T_EMPTY", "", 1);
    CHECK_OK(read_text("T_OWN=file\nT_EMPTY=file\n"), &err);
    CHECK_TEXT(getenv("T_OWN"), "process");
    CHECK_TEXT(getenv("T_EMPTY"), "file");
}

static void of_two_lines_with_one_name_the_last_counts(void) {
    setenv("T_OWN", "process", 1);
    CHECK_OK(read_text("T_TWICE=1\nT_OWN=1\nT_TWICE=2\nT_OWN=2\n"), &err);
    CHECK_TEXT(getenv("T_TWICE"), "2");
    CHECK_TEXT(getenv("T_OWN"), "process");
    CHECK(environment_file_has("T_TWICE") && !environment_file_has("T_OWN"));
}

static void a_process_that_inherits_the_variables_takes_them_from_the_file_again(void) {
    CHECK_OK(read_text("T_CHANGED=1\nT_REMOVED=1\n"), &err);
    CHECK_OK(read_text("T_CHANGED=2\n"), &err);
    CHECK_TEXT(getenv("T_CHANGED"), "2");
    CHECK(getenv("T_REMOVED") == NULL);
}

static void a_line_that_is_no_variable_is_refused(void) {
    refuses("T_A=1\nexport T_B=1\n", 2);
    refuses("=1\n", 1);
    refuses("1A=1\n", 1);
    refuses("\nT-A=1", 2);
}

static void without_a_file_nothing_is_set(void) {
    CHECK(unlink(path) == 0);
    CHECK_OK(environment_file_read(config_path, &err), &err);
    CHECK_OK(environment_file_read("no/such/config.lua", &err), &err);
}

static const struct test_case cases[] = {
    {"a value is all behind the equals sign", a_value_is_all_behind_the_equals_sign},
    {"a variable of the process wins", a_variable_of_the_process_wins},
    {"of two lines with one name the last counts", of_two_lines_with_one_name_the_last_counts},
    {"a process that inherits the variables takes them from the file again",
     a_process_that_inherits_the_variables_takes_them_from_the_file_again},
    {"a line that is no variable is refused", a_line_that_is_no_variable_is_refused},
    {"without a file nothing is set", without_a_file_nothing_is_set},
};

int main(int argc, char **argv) {
    CHECK(mkdtemp(folder) != NULL);
    snprintf(config_path, sizeof config_path, "%s/config.lua", folder);
    snprintf(path, sizeof path, "%s/environment", folder);
    int status = test_run(cases, sizeof cases / sizeof *cases, argc, argv);
    unlink(path);
    rmdir(folder);
    return status;
}
