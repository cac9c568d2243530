# What configurations come to, as sentences; `report` says which of them hold.
let
  evaluate = import ./evaluate.nix;
  gate = "/store/upgrade-gate/bin/upgrade-gate";

  # a configuration with upgrade-gate enabled
  enabled =
    rest:
    (evaluate {
      imports = [
        { services.upgrade-gate.enable = true; }
        rest
      ];
    }).config;

  # [Service] of a unit `job`, gated as told
  gated =
    unit: service:
    (enabled {
      services.upgrade-gate.units.job = unit;
      systemd.services.job = service;
    }).systemd.services.job;
  command = line: (gated { } { serviceConfig.ExecStart = line; }).serviceConfig.ExecStart;

  complaints =
    config: map (a: a.message) (builtins.filter (a: !a.assertion) config.assertions);
  # the words that the only complaint must have
  complaint =
    words: configuration:
    let
      found = complaints (enabled configuration);
    in
    if builtins.length found == 1 && has words (builtins.head found) then true else found;
  has = part: text: builtins.replaceStrings [ part ] [ "" ] text != text;

  refused = value: !(builtins.tryEval (builtins.deepSeq value value)).success;

  upgrade =
    rest:
    enabled {
      services.upgrade-gate.autoUpgrade.enable = true;
      system.autoUpgrade = {
        enable = true;
      }
      // rest;
    };
  settings = config: config.services.upgrade-gate.settings;

  flake = upgrade {
    flake = "github:me/config";
    flags = [
      "--update-input"
      "nixpkgs"
    ];
  };
  channel = upgrade { channel = "https://nixos.org/channels/nixos-25.11"; };
  fwupd = enabled {
    services.upgrade-gate.fwupdRefresh.enable = true;
    services.fwupd.enable = true;
  };
  online = {
    script = "true";
    wants = [
      "network-online.target"
      "other.service"
    ];
    after = [ "network-online.target" ];
  };

  docs = builtins.readFile ../../docs/configuration.md;
  # | `key` | type | default | meaning |
  rows = builtins.filter (row: row != null) (
    map (builtins.match "\\| `([a-z_]+)` \\| [^|]* \\| [^|]* \\| (.*) \\|") (
      builtins.filter builtins.isString (builtins.split "\n" docs)
    )
  );
  documented = builtins.listToAttrs (
    map (row: {
      name = builtins.elemAt row 0;
      value = builtins.elemAt row 1;
    }) rows
  );
  # upper case and a full stop are NixOS's
  spoken =
    text:
    let
      parts = builtins.match "(.)(.*)" text;
      upper = builtins.replaceStrings [ "w" "t" "h" ] [ "W" "T" "H" ] (builtins.elemAt parts 0);
    in
    upper + builtins.elemAt parts 1 + ".";
  profileOptions =
    let
      inherit ((evaluate { }).options.services.upgrade-gate.profiles) type;
    in
    builtins.mapAttrs (_: option: option.description)
      (builtins.head type.inner.modules).options;

  # sentence = [ what it comes to, what it must be ]
  sentences = {
    "nothing is changed unless it is enabled" = [
      (evaluate { systemd.services.job = online; }).config.systemd.services.job.wants
      online.wants
    ];
    "the upgrade of a flake is run by upgrade-gate, which is told the flags" = [
      flake.systemd.services.nixos-upgrade.serviceConfig
      {
        Type = "exec";
        NotifyAccess = "main";
        SuccessExitStatus = [ "75" ];
        ExecStart = ''${gate} run --profile nixos-upgrade -- /store/nixos-upgrade-start "--update-input" "nixpkgs" "--flake" "github:me/config"'';
      }
    ];
    "the profile knows the flake" = [
      (settings flake).profile
      { nixos-upgrade.flake = "github:me/config"; }
    ];
    "the flake that a profile names itself is left alone" = [
      (settings (
        enabled {
          services.upgrade-gate = {
            autoUpgrade.enable = true;
            profiles.nixos-upgrade.flake = "github:other/config";
          };
          system.autoUpgrade = {
            enable = true;
            flake = "github:me/config";
          };
        }
      )).profile.nixos-upgrade.flake
      "github:other/config"
    ];
    "the upgrade of a channel is told the channel, and no flake" = [
      [
        channel.systemd.services.nixos-upgrade.serviceConfig.ExecStart
        (settings channel)
      ]
      [
        ''${gate} run --profile nixos-upgrade -- /store/nixos-upgrade-start "-I" "nixpkgs=https://nixos.org/channels/nixos-25.11/nixexprs.tar.xz"''
        { }
      ]
    ];
    "the upgrade keeps its environment, and is neither restarted nor stopped by the switch it does" = [
      (with flake.systemd.services.nixos-upgrade; [
        environment
        restartIfChanged
        unitConfig
      ])
      [
        { NIX_PATH = "nixpkgs=/channels"; }
        false
        { X-StopOnRemoval = false; }
      ]
    ];
    "the upgrade no longer asks for network-online.target" = [
      (with flake.systemd.services.nixos-upgrade; wants ++ after)
      [ ]
    ];
    "fwupd-refresh gets fwupd's own command in place of the package's line" = [
      fwupd.systemd.services.fwupd-refresh.serviceConfig
      {
        Type = "exec";
        NotifyAccess = "main";
        SuccessExitStatus = [ "75" ];
        StandardError = "inherit";
        RuntimeDirectory = "upgrade-gate-fwupd-refresh";
        ExecStart = [
          ""
          "${gate} run --profile fwupd-refresh -- /store/fwupd/bin/fwupdmgr refresh"
        ];
      }
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
    "the argv[0] of a line with @ is handed on by the shell, unexpanded by systemd" = [
      (map command [
        "@/bin/busybox sh -c 'a b' c"
        "-:@/bin/busybox \"a b\""
      ])
      [
        ''${gate} run --profile job -- /bin/bash -c 'exec -a "$$0" "$$@"' sh /bin/busybox -c 'a b' c''
        ''-:${gate} run --profile job -- /bin/bash -c 'exec -a "$0" "$@"' "a b" /bin/busybox''
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
          "75"
          "SIGTERM"
        ];
        ExecStart = [
          ""
          "${gate} run --profile job -- /bin/a"
          "${gate} run --profile job -- /bin/b"
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
    "no companion is ended by a switch" = [
      (with (enabled { }).systemd.services."upgrade-gate@"; [
        overrideStrategy
        restartIfChanged
        unitConfig
      ])
      [
        "asDropin"
        false
        { X-StopOnRemoval = false; }
      ]
    ];
    "units and tmpfiles.d come from the package" = [
      (
        let
          config = enabled { };
        in
        map (packages: map toString packages) [
          config.systemd.packages
          config.systemd.tmpfiles.packages
          config.environment.systemPackages
        ]
      )
      [
        [ "/store/upgrade-gate" ]
        [ "/store/upgrade-gate" ]
        [ "/store/upgrade-gate" ]
      ]
    ];
    "without any setting there is no file" = [
      (enabled { }).environment.etc
      { }
    ];
    "profiles, settings and watch end up in one file, without what is not set" = [
      (settings (enabled {
        services.upgrade-gate = {
          profiles.a.power.battery_at_least = 40;
          profiles.a.targets = [
            "auto"
            {
              any = [
                "https://a"
                "https://b"
              ];
            }
          ];
          settings.profile.b.settle = "3s";
          watch.enable = true;
          watch.rearm = [ "fwupd-refresh.service" ];
        };
      }))
      {
        profile.a.power.battery_at_least = 40;
        profile.a.targets = [
          "auto"
          {
            any = [
              "https://a"
              "https://b"
            ];
          }
        ];
        profile.b.settle = "3s";
        watch.rearm = [ "fwupd-refresh.service" ];
      }
    ];
    "the file is checked by the program while it is built" = [
      (has "${gate} --root"
        (enabled { services.upgrade-gate.profiles.a.metered = "allow"; })
        .environment.etc."upgrade-gate/upgrade-gate.toml".source.script
      )
      true
    ];
    "the watch is started at boot, finds the proxy, and reloads when the file changes" = [
      (
        let
          config = enabled {
            networking.proxy.envVars.http_proxy = "http://proxy";
            services.upgrade-gate.watch = {
              enable = true;
              profile = "default";
            };
          };
        in
        with config.systemd.services.upgrade-gate-watch;
        [
          wantedBy
          environment
          (builtins.length reloadTriggers)
          serviceConfig
        ]
      )
      [
        [ "multi-user.target" ]
        { http_proxy = "http://proxy"; }
        1
        { }
      ]
    ];
    "the options of a profile are the keys of docs/configuration.md, with its sentences" = [
      profileOptions
      (builtins.mapAttrs (_: spoken) documented)
    ];
    "a value of the wrong type is refused" = [
      (map
        (
          profile: refused (settings (enabled { services.upgrade-gate.profiles.a = profile; }))
        )
        [
          { metered = "no"; }
          { attempts = 0; }
          { power.battery_at_least = 101; }
          { final_exit_status = [ 256 ]; }
          { final_if_changed = [ "relative" ]; }
          { settle = 2; }
          { setle = "2s"; }
          { settle = "2s"; }
        ]
      )
      [
        true
        true
        true
        true
        true
        true
        true
        false
      ]
    ];
    "nobody complains about what is right" = [
      (map complaints [
        flake
        channel
        fwupd
        (enabled {
          services.upgrade-gate.units.job = { };
          systemd.services.job = online;
        })
      ])
      [
        [ ]
        [ ]
        [ ]
        [ ]
      ]
    ];
    "something to gate without upgrade-gate is complained about" = [
      (builtins.length (complaints (evaluate { services.upgrade-gate.watch.enable = true; }).config))
      1
    ];
    "autoUpgrade without system.autoUpgrade is complained about" = [
      (complaint "Set system.autoUpgrade.enable = true" {
        services.upgrade-gate.autoUpgrade.enable = true;
      })
      true
    ];
    "fwupdRefresh without fwupd is complained about" = [
      (complaint "Set services.fwupd.enable = true" {
        services.upgrade-gate.fwupdRefresh.enable = true;
      })
      true
    ];
    "an upgrade that is gated twice is complained about" = [
      (complaint "gated twice" {
        services.upgrade-gate.autoUpgrade.enable = true;
        services.upgrade-gate.units.nixos-upgrade.mode = "pre";
        system.autoUpgrade.enable = true;
      })
      true
    ];
    "a unit that does not exist is complained about" = [
      (complaint "there is no systemd.services.nobody" {
        services.upgrade-gate.units.nobody.mode = "companion";
      })
      true
    ];
    "a unit without a command is complained about in mode run" = [
      (complaint "no command of job.service is known" {
        services.upgrade-gate.units.job = { };
        systemd.services.job = { };
      })
      true
    ];
    "a daemon is complained about in mode run" = [
      (complaint "Type=notify" {
        services.upgrade-gate.units.job = { };
        systemd.services.job = {
          script = "true";
          serviceConfig.Type = "notify";
        };
      })
      true
    ];
    "a companion of another profile is complained about" = [
      (complaint "always asks for the profile job" {
        services.upgrade-gate.units.job.mode = "companion";
        services.upgrade-gate.units.job.profile = "other";
        systemd.services.job.script = "true";
      })
      true
    ];
    "a companion of a template is complained about" = [
      (complaint "which a template cannot have" {
        services.upgrade-gate.units."job@".mode = "companion";
        systemd.services."job@".script = "true";
      })
      true
    ];
  };

  outcome =
    sentence: pair:
    let
      got = builtins.elemAt pair 0;
      wanted = builtins.elemAt pair 1;
      found = builtins.tryEval (builtins.deepSeq got got);
      shown = if found.success then builtins.toJSON found.value else "an error";
    in
    if found.success && found.value == wanted then
      "ok      ${sentence}"
    else
      "FAILED  ${sentence}\n        expected ${builtins.toJSON wanted}\n        found    ${shown}";
in
{
  report = builtins.concatStringsSep "\n" (
    builtins.attrValues (builtins.mapAttrs outcome sentences)
  );
}
