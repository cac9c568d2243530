"""At most every 20 hours: ten resumes in a day cause one upgrade; after a week off, another one starts immediately."""
# machine: laptop
# limit: 600 s

cable(laptop)
static_address(laptop)
profile(laptop, at_most_every="20h")
service(laptop, "job", upgrade("job"))
# at each resume, as a person's own sleep hook would have it
unit(laptop, "job.service.d/resume.conf", "[Unit]\nAfter=suspend.target\n")
laptop.succeed("mkdir -p /run/systemd/system/suspend.target.wants; ln -s ../job.service /run/systemd/system/suspend.target.wants/",
               "systemctl daemon-reload")


resumes = 0


def sleep_for(span):
    """A real suspend; the rest of the time is put on the clock, as no test waits for a week."""
    global resumes
    resumes += 1
    suspend(laptop, 6)
    finished(laptop, "job.service", times=resumes)
    laptop.succeed(f"date -s '{span}'")


with subtest("ten resumes in a day"):
    for _ in range(10):
        sleep_for("+1 hour")
    assert runs(laptop, "job") == 1

with subtest("a week off"):
    laptop.succeed("date -s '+7 days'")
    sleep_for("+1 hour")
    assert runs(laptop, "job") == 2
