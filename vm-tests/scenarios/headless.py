"""A server without a desktop: no session, no user, nobody subscribed to PID 1's signals; a suspend is seen all the same."""
# machine: server

cable(server)
static_address(server)
profile(server)
service(server, "job", upgrade("job"))

with subtest("nobody is logged in"):
    assert server.succeed("loginctl list-sessions --no-legend | grep -v ' manager' || true").strip() == ""

with subtest("held when it goes to sleep, open when it has woken and the cable is back"):
    unplug(server)
    server.succeed("systemctl start --no-block job")
    held(server, "[a-z_]+")
    suspend(server, 6)
    assert runs(server, "job") == 0
    plug(server)
    finished(server, "job.service")
    assert runs(server, "job") == 1
