# What the module installs, and the file it writes.
{
  enabled,
  evaluate,
  gate,
  has,
  settings,
  ...
}:
let
  docs = builtins.readFile ../../../docs/configuration.md;
  # | `key` | type | default | meaning |; a program of another system than NixOS is no option
  rows = builtins.filter (row: row != null && builtins.elemAt row 1 != "program") (
    map (builtins.match "\\| `([a-z_]+)` \\| ([^|]*) \\| [^|]* \\| (.*) \\|") (
      builtins.filter builtins.isString (builtins.split "\n" docs)
    )
  );
  documented = builtins.listToAttrs (
    map (row: {
      name = builtins.elemAt row 0;
      value = builtins.elemAt row 2;
    }) rows
  );
  # upper case and a full stop are NixOS's
  spoken =
    text:
    let
      parts = builtins.match "(.)(.*)" text;
      upper = builtins.replaceStrings [ "w" "t" "h" "u" "e" "p" ] [ "W" "T" "H" "U" "E" "P" ] (builtins.elemAt parts 0);
    in
    upper + builtins.elemAt parts 1 + ".";
  described =
    let
      inherit ((evaluate { }).options.services.upgrade-gate) settings;
      inherit ((builtins.head settings.type.modules).options) profile watch;
      keys = (builtins.head profile.type.inner.modules).options;
    in
    builtins.mapAttrs (_: option: option.description) (
      removeAttrs keys [ "guard" ] // (builtins.head keys.guard.type.modules).options // watch
    );
in
{
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
        settings.profile.a.power.battery_at_least = 40;
        settings.profile.a.targets = [
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
        settings.watch.rearm = [ "fwupd-refresh.service" ];
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
      (enabled { services.upgrade-gate.settings.profile.a.metered = "allow"; })
      .environment.etc."upgrade-gate/upgrade-gate.toml".source.text
    )
    true
  ];
  "what undoes a system that is tried is started at every boot, in emergency mode too, and a switch leaves it alone" = [
    (
      let
        inherit ((enabled { }).systemd) services timers;
      in
      [
        services.upgrade-gate-guard.wantedBy
        services.upgrade-gate-guard.restartIfChanged
        timers.upgrade-gate-guard-boot.wantedBy
      ]
    )
    [
      [
        "multi-user.target"
        "emergency.target"
        "rescue.target"
      ]
      false
      [ "sysinit.target" ]
    ]
  ];
  "the watch is started at boot, finds the proxy, and is reloaded when the file changes, and restarted in one job by a new version" = [
    (
      let
        config = enabled {
          networking.proxy.envVars.http_proxy = "http://proxy";
          services.upgrade-gate.watch.enable = true;
          services.upgrade-gate.settings.watch.profile = "default";
        };
      in
      with config.systemd.services.upgrade-gate-watch;
      [
        wantedBy
        environment
        (builtins.length reloadTriggers)
        serviceConfig.ExecStart
        (builtins.length restartTriggers)
        stopIfChanged
      ]
    )
    [
      [ "multi-user.target" ]
      { http_proxy = "http://proxy"; }
      1
      [
        ""
        "/run/current-system/sw/bin/upgrade-gate watch"
      ]
      1
      false
    ]
  ];
  "the options of profiles, of the guard and of the watch are the keys of docs/configuration.md, with its sentences" = [
    described
    (builtins.mapAttrs (_: spoken) documented)
  ];
}
