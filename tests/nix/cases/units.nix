# What becomes of a unit in each mode.
{
  enabled,
  evaluate,
  gate,
  online,
  settings,
  ...
}:
let
  # [Service] of a unit `job`, gated as told
  gated =
    unit: service:
    (enabled {
      services.upgrade-gate.units.job = unit;
      systemd.services.job = service;
    }).systemd.services.job;
  command = line: (gated { } { serviceConfig.ExecStart = line; }).serviceConfig.ExecStart;
in
{
  "nothing is changed unless it is enabled" = [
    (evaluate { systemd.services.job = online; }).config.systemd.services.job.wants
    online.wants
  ];
  "a unit is run under the profile of its own name" = [
    (gated { } { script = "true"; }).serviceConfig.ExecStart
    "${gate} run --profile job -- /store/job-start"
  ];
  "a unit is run under the profile it is given, which counts as known" = [
    (
      let
        config = enabled {
          services.upgrade-gate.units.job.profile = "other";
          systemd.services.job.script = "true";
        };
      in
      [
        config.systemd.services.job.serviceConfig.ExecStart
        (settings config)
      ]
    )
    [
      "${gate} run --profile other -- /store/job-start"
      { profile.other = { }; }
    ]
  ];
  "prefixes stay in front of the line" = [
    (map command [
      "-/bin/a x"
      "+:/bin/b"
      "!!/bin/c"
      " /bin/d"
    ])
    [
      "-${gate} run --profile job -- /bin/a x"
      "+:${gate} run --profile job -- /bin/b"
      "!!${gate} run --profile job -- /bin/c"
      "${gate} run --profile job -- /bin/d"
    ]
  ];
  "the argv[0] of a line with @ is handed on" = [
    (map command [
      "@/bin/busybox sh -c 'a b' c"
      "-:@/bin/busybox \"a b\""
    ])
    [
      ''${gate} run --profile job --argv0 sh -- /bin/busybox -c 'a b' c''
      ''-:${gate} run --profile job --argv0 "a b" -- /bin/busybox''
    ]
  ];
  "a unit with several commands stays a oneshot and may be stopped while it waits" = [
    (gated { } {
      serviceConfig.Type = "oneshot";
      serviceConfig.ExecStart = [
        ""
        "/bin/a"
        "/bin/b"
      ];
      serviceConfig.SuccessExitStatus = 3;
    }).serviceConfig
    {
      Type = "oneshot";
      TimeoutStartSec = "infinity";
      NotifyAccess = "main";
      SuccessExitStatus = [
        3
        "SIGTERM"
      ];
      ExecStart = [
        ""
        "${gate} run --profile job -- /bin/a"
        "${gate} run --profile job -- /bin/b"
      ];
    }
  ];
  "a semicolon between two commands makes them several, and one in quotes does not" = [
    (map command [
      "/bin/a x ; -/bin/b \"c ; d\""
      "/bin/sh -c 'a ; b'"
    ])
    [
      [
        "${gate} run --profile job -- /bin/a x"
        "-${gate} run --profile job -- /bin/b \"c ; d\""
      ]
      "${gate} run --profile job -- /bin/sh -c 'a ; b'"
    ]
  ];
  "what is prepared is prepared behind the gate" = [
    (gated { } {
      serviceConfig.Type = "oneshot";
      serviceConfig.ExecStart = "/bin/a";
      serviceConfig.ExecStartPre = [ "-/bin/mkdir -p \"x y\"" ];
    }).serviceConfig
    {
      Type = "exec";
      TimeoutStartSec = "infinity";
      NotifyAccess = "main";
      SuccessExitStatus = [ "75" ];
      ExecStartPre = [ ];
      ExecStart = ''${gate} run --profile job "--exec-start-pre=-/bin/mkdir -p \"x y\"" -- /bin/a'';
    }
  ];
  "what follows the command keeps a oneshot one, and not now a failure" = [
    (removeAttrs (gated { } {
      serviceConfig.Type = "oneshot";
      serviceConfig.ExecStart = "/bin/a";
      serviceConfig.ExecStartPost = "/bin/b";
    }).serviceConfig [ "NotifyAccess" "ExecStart" ])
    {
      Type = "oneshot";
      TimeoutStartSec = "infinity";
      SuccessExitStatus = [ "SIGTERM" ];
      ExecStartPost = "/bin/b";
    }
  ];
  "the wait is not bounded by what bounds the run, and has directories of its own" = [
    (removeAttrs (gated { } {
      serviceConfig.ExecStart = "/bin/a";
      serviceConfig.User = "job";
      serviceConfig.RuntimeMaxSec = "1h";
      serviceConfig.TimeoutStartSec = "5min";
      serviceConfig.StateDirectory = "job";
    }).serviceConfig [ "NotifyAccess" "ExecStart" "SuccessExitStatus" "Type" "User" ])
    {
      RuntimeMaxSec = "infinity";
      TimeoutStartSec = "5min";
      RuntimeDirectory = [ "upgrade-gate/job" ];
      StateDirectory = [
        "job"
        "upgrade-gate/job"
      ];
    }
  ];
  "a unit's own NotifyAccess is kept" = [
    (gated { } {
      script = "true";
      serviceConfig.NotifyAccess = "all";
    }).serviceConfig.NotifyAccess
    "all"
  ];
  "in mode pre the gate comes before the unit's own preparations, with time without end" = [
    (removeAttrs (gated { mode = "pre"; } {
      script = "true";
      serviceConfig.ExecStartPre = [ "/bin/mine" ];
    }).serviceConfig [ "ExecStart" ])
    {
      ExecStartPre = [
        "${gate} wait-online --profile job"
        "/bin/mine"
      ];
      NotifyAccess = "exec";
      TimeoutStartSec = "infinity";
    }
  ];
  "in mode condition the unit is skipped and keeps its dependencies" = [
    (
      let
        job = gated { mode = "condition"; } online;
      in
      [
        job.serviceConfig.ExecCondition
        job.wants
      ]
    )
    [
      [ "${gate} check --exec-condition --profile job" ]
      online.wants
    ]
  ];
  "in mode companion only dependencies are added" = [
    (
      let
        job = gated { mode = "companion"; } online;
      in
      [
        job.requires
        job.after
        job.wants
        job.serviceConfig
        job.restartIfChanged
      ]
    )
    [
      [ "upgrade-gate@job.service" ]
      [ "upgrade-gate@job.service" ]
      [ "other.service" ]
      { ExecStart = "/store/job-start "; }
      true
    ]
  ];
  "a unit that says so itself is restarted by a switch" = [
    (gated { } (
      online // { restartIfChanged = true; }
    )).restartIfChanged
    true
  ];
}
