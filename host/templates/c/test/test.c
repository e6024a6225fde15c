// The job on this machine, with a host that answers as each test says.

#include <stdio.h>
#include <string.h>

#include "job.h"

static const char *setting;
static struct { bool answers; uint16_t status; const char *body; } service;
static unsigned asked;

static job_string_t string(const char *text) { return (job_string_t){(uint8_t *)text, strlen(text)}; }

bool soloist_job_config_get(job_string_t *key, job_string_t *ret) {
    if (setting == NULL || key->len != 3 || memcmp(key->ptr, "url", 3) != 0) return false;
    *ret = string(setting);
    return true;
}

void soloist_job_log_log(soloist_job_log_level_t level, job_string_t *message) {
    (void)level;
    (void)message;
}

bool soloist_job_http_fetch(soloist_job_http_request_t *request, soloist_job_http_response_t *ret,
                            soloist_job_http_error_t *err) {
    asked++;
    if (!service.answers) {
        err->tag = SOLOIST_JOB_HTTP_ERROR_TIMEOUT;
        return false;
    }
    const job_string_t body = string(service.body);
    *ret = (soloist_job_http_response_t){.status = service.status, .body = {body.ptr, body.len}, .url = request->url};
    return true;
}

static unsigned failed;

static void expect(const char *what, bool ok, const char *text) {
    job_context_t context = {.job = string("test"), .round = 1, .attempt = 1};
    job_string_t summary = string("");
    job_failure_t failure = {0};
    const bool done = exports_job_run(&context, &summary, &failure);
    const job_string_t said = done ? summary : failure.val.retry;
    const bool right = done == ok && said.len == strlen(text) && memcmp(said.ptr, text, said.len) == 0;
    printf("%s: %s\n", right ? "ok" : "FAILED", what);
    if (!right) printf("  it said %.*s\n", (int)said.len, (char *)said.ptr);
    failed += !right;
}

int main(void) {
    expect("a missing setting is a failure", false, "the setting `url` is missing");
    setting = "https://example.com/";
    expect("no answer is a failure", false, "no complete answer in time");
    service.answers = true, service.status = 200, service.body = "hello";
    expect("an answer is summed up", true, "https://example.com/ answered 200 with 5 bytes");
    service.status = 503;
    expect("a service that is down is a failure", false, "https://example.com/ answered 503");
    if (asked != 3) failed++, printf("FAILED: %u requests, and 3 were to be\n", asked);
    return failed != 0;
}
