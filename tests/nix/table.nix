# Machines with gated units, and what becomes of each unit: its mode, or words of the refusal.
let
  # services of one machine, each gated as `gate` says
  services = cases: {
    module = {
      services.upgrade-gate.enable = true;
      services.upgrade-gate.units = builtins.mapAttrs (_: case: case.gate or { }) cases;
      systemd.services =
        builtins.mapAttrs (_: case: removeAttrs case [ "gate" "becomes" ]) (
          removeAttrs cases [
            "nobody"
            "restore@home"
          ]
        )
        // {
          "restore@".serviceConfig.ExecStart = "/bin/restore %i";
        };
      systemd.sockets.with-socket.listenStreams = [ "/run/with-socket" ];
    };
    becomes = builtins.mapAttrs (_: case: case.becomes) cases;
    gates = builtins.mapAttrs (_: case: case.gate or { }) cases;
  };

  # a command of /bin/a, by a timer, with these lines in [Service]
  job =
    becomes: serviceConfig:
    scripted becomes {
      script = "";
      serviceConfig = {
        Type = "oneshot";
        ExecStart = "/bin/a";
      }
      // serviceConfig;
    };
  # a script, by a timer
  scripted =
    becomes: service:
    {
      inherit becomes;
      startAt = "daily";
      script = "true";
    }
    // service;
  untimed = service: removeAttrs service [ "startAt" ];
  mode = mode: { gate = { inherit mode; }; };

  upgrade = becomes: autoUpgrade: service: {
    module = {
      services.upgrade-gate.enable = true;
      services.upgrade-gate.autoUpgrade.enable = true;
      system.autoUpgrade = {
        enable = true;
      }
      // autoUpgrade;
      systemd.services.nixos-upgrade = service;
    };
    becomes.nixos-upgrade = becomes;
  };
  flake = {
    flake = "github:me/config";
  };
  gated = modules: becomes: {
    module = {
      imports = modules;
      services.upgrade-gate.enable = true;
      services.upgrade-gate.units = builtins.mapAttrs (_: _: { }) becomes;
    };
    inherit becomes;
  };
  # a daemon, as agents that switch by themselves are
  agent = {
    wantedBy = [ "multi-user.target" ];
    serviceConfig.ExecStart = "/bin/agent run";
    serviceConfig.Restart = "always";
  };
in
{
  services = services {
    script = scripted "run" { };
    oneshot = job "run" { };
    simple = job "run" { Type = "simple"; };
    at-boot = untimed (job "run" { }) // {
      wantedBy = [ "multi-user.target" ];
    };
    when-online = untimed (job "run" { }) // {
      wantedBy = [ "upgrade-gate-online.target" ];
    };
    daemon-like = untimed (scripted "companion" { }) // {
      wantedBy = [ "multi-user.target" ];
    };
    agent = agent // {
      becomes = "companion";
    };
    on-success-daemon = job "companion" {
      Type = "simple";
      Restart = "on-success";
    };
    notify = job "companion" { Type = "notify"; };
    forking = job "companion" { Type = "forking"; };
    bus = job "companion" {
      Type = "dbus";
      BusName = "org.example.A";
    };
    remaining = job "companion" { RemainAfterExit = true; };
    watchdog = job "companion" {
      Type = "simple";
      WatchdogSec = 30;
    };
    with-socket = job "companion" { };
    before-others = job "companion" { } // {
      before = [ "other.service" ];
    };
    prepared = scripted "run" { preStart = "true"; };
    prepared-by-root = job "companion" { ExecStartPre = "+/bin/p"; };
    prepared-with-variable = job "companion" { ExecStartPre = "/bin/p $X"; };
    prepared-with-success = job "companion" {
      ExecStartPre = "/bin/p";
      SuccessExitStatus = 3;
    };
    followed = scripted "companion" {
      postStart = "true";
      serviceConfig.Type = "oneshot";
    };
    followed-daemon = scripted "companion" { postStart = "true"; };
    stopped = scripted "companion" { preStop = "true"; };
    cleaned = scripted "companion" { postStop = "true"; };
    conditional = job "companion" { ExecCondition = "/bin/c"; };
    succeeded = scripted "companion" { onSuccess = [ "other.service" ]; };
    succeeded-by-hand = scripted "companion" { unitConfig.OnSuccess = "other.service"; };
    success-action = scripted "companion" { unitConfig.SuccessAction = "reboot"; };
    several = job "companion" {
      ExecStart = [
        "/bin/a"
        "/bin/b"
      ];
    };
    several-after-reset = job "companion" {
      ExecStart = [
        ""
        "/bin/a"
        "/bin/b"
      ];
    };
    in-one-line = job "companion" { ExecStart = "/bin/a x ; -/bin/b"; };
    quoted-semicolon = job "run" { ExecStart = "/bin/sh -c 'a ; b'"; };
    may-fail = job "run" { ExecStart = "-/bin/a x"; };
    as-root = job "run" { ExecStart = "+:/bin/a"; };
    ambient = job "run" { ExecStart = "!!/bin/a"; };
    named = job "run" { ExecStart = "@/bin/busybox sh -c 'a b' c"; };
    by-shell = job "companion" { ExecStart = "|/bin/a"; };
    odd-words = job "run" { ExecStart = ''/bin/a "a b" 'c"d' \x41 %n 100%% $A ''${A} $$ \; ""''; };
    user = job "run" { User = "job"; };
    root = job "run" { User = "root"; };
    dynamic = job "run" { DynamicUser = true; };
    own-directory = job "run" {
      User = "job";
      StateDirectory = "job";
      RuntimeDirectory = "job";
    };
    own-directory-named = job "companion" {
      User = "job";
      StateDirectory = "job";
      ExecStart = "/bin/a $STATE_DIRECTORY";
    };
    families = job "run" { RestrictAddressFamilies = "AF_UNIX"; };
    families-list = job "run" {
      RestrictAddressFamilies = [
        "AF_UNIX"
        "AF_INET"
      ];
    };
    own-network = job "companion" { PrivateNetwork = true; };
    own-root = job "companion" { RootDirectory = "/srv/root"; };
    cut-off = job "companion" { IPAddressDeny = "any"; };
    strict = job "run" { ProtectSystem = "strict"; };
    limited = job "run" {
      Type = "exec";
      RuntimeMaxSec = "1h";
      TimeoutStartSec = "5min";
    };
    forced = job "run" {
      Type = "simple";
      Restart = "on-failure";
      RestartForceExitStatus = "75";
    };
    notifying = job "run" { NotifyAccess = "all"; };
    not-now-is-success = job "run" { SuccessExitStatus = 75; };
    behind-proxy = job "companion" { RemainAfterExit = true; } // {
      environment.https_proxy = "http://proxy:3128";
    };
    behind-login = job "companion" { RemainAfterExit = true; } // {
      environment.https_proxy = "http://me:secret@proxy:3128";
    };
    own-profile = job "run" { } // {
      gate.profile = "other";
    };
    "backup@" = untimed (job "run" { }) // {
      gate.profile = "%i";
    };
    "restore@home".becomes = "run";
    "srv-my\\x2ddata" = job "run" { };
    "_odd:name" = job "run" { };
    asked-companion = job "companion" { } // mode "companion";
    asked-companion-of-another = job "companion" { } // {
      gate = {
        mode = "companion";
        profile = "other";
      };
    };
    "asked-companion@" = untimed (job "companion" { }) // mode "companion";
    asked-pre = job "pre" { } // mode "pre";
    asked-pre-prepared = scripted "pre" { preStart = "true"; } // mode "pre";
    asked-pre-of-user = job "pre" { DynamicUser = true; } // mode "pre";
    asked-condition = job "condition" { } // mode "condition";
    asked-condition-too = job "condition" { ExecCondition = "/bin/c"; } // mode "condition";
  };

  refused = services {
    nobody.becomes = "no unit file found for";
    daemon = agent // mode "run" // { becomes = "Restart=always is for a daemon"; };
    several =
      job "has several commands" {
        ExecStart = [
          "/bin/a"
          "/bin/b"
        ];
      }
      // mode "run";
    followed = scripted "ExecStartPost= would be run while the gate is still held" { postStart = "true"; } // mode "run";
    remaining = job "RemainAfterExit= would treat" { RemainAfterExit = true; } // mode "run";
    success = job "SuccessExitStatus= lists 75" { SuccessExitStatus = 75; } // mode "pre";
    success-too = job "SuccessExitStatus= lists 1:" { SuccessExitStatus = 1; } // mode "condition";
    conditional = job "ExecCondition= would be checked" { ExecCondition = "/bin/c"; } // mode "pre";
    own-network = job "own network namespace" { PrivateNetwork = true; } // mode "condition";
    own-root = job "own root directory" { RootDirectory = "/srv"; } // mode "pre";
    masked = job "masked" { } // { enable = false; };
    idle = scripted "systemd refuses" { script = ""; };
    gated = job "already gated, by ExecStart=" { ExecStart = "/bin/upgrade-gate run -- /bin/a"; };
    gated-too = job "already gated, by Requires= on upgrade-gate@gated-too.service" { } // {
      requires = [ "upgrade-gate@gated-too.service" ];
    };
    bad-profile = job "invalid" { } // {
      gate.profile = "a/b";
    };
  };

  upgrade-flake = upgrade "run" flake { };
  upgrade-channel = upgrade "run" { channel = "https://nixos.org/channels/nixos-25.11"; } { };
  upgrade-boot = upgrade "run" (flake // { operation = "boot"; }) { };
  upgrade-reboot = upgrade "run" (flake // { allowReboot = true; }) { };
  upgrade-flags = upgrade "run" (flake // { flags = [ ''--option substituters "https://a https://b"'' ]; }) { };
  upgrade-prepared = upgrade "run" flake { preStart = "true"; };
  upgrade-followed = upgrade "companion" flake { postStart = "true"; };
  upgrade-conditional = upgrade "companion" flake { serviceConfig.ExecCondition = "/bin/c"; };
  upgrade-succeeded = upgrade "companion" flake { onSuccess = [ "other.service" ]; };
  upgrade-ordered = upgrade "run" flake { after = [ "mine.service" ]; };
  upgrade-by-name = gated [ { system.autoUpgrade = flake // { enable = true; }; } ] { nixos-upgrade = "run"; };
  upgrade-twice = gated [
    {
      system.autoUpgrade = flake // {
        enable = true;
      };
      services.upgrade-gate.autoUpgrade.enable = true;
    }
  ] { nixos-upgrade = "run"; };
  fwupd = {
    module = {
      services.upgrade-gate.enable = true;
      services.upgrade-gate.fwupdRefresh.enable = true;
      services.fwupd.enable = true;
    };
    becomes.fwupd-refresh = "run";
    packages = true;
  };
  disabled = {
    module =
      { lib, ... }:
      {
        services.upgrade-gate = {
          enable = lib.mkForce false;
          autoUpgrade.enable = true;
          fwupdRefresh.enable = true;
          watch.enable = true;
          settings.watch.rearm = [ "a.service" ];
          units.nobody = { };
        };
        system.autoUpgrade.enable = true;
      };
    becomes = { };
  };
  imported-twice = gated [
    ../../module.nix
    { systemd.services.a.script = "true"; }
    { systemd.services.a.startAt = "daily"; }
  ] { a = "run"; };
  beside-apply = gated [
    (
      { lib, ... }:
      {
        options.systemd.services = lib.mkOption {
          type = lib.types.attrsOf (
            lib.types.submodule {
              options.wants = lib.mkOption { apply = units: units; };
              options.serviceConfig = lib.mkOption { apply = settings: settings // { Nice = 5; }; };
            }
          );
        };
        config.systemd.services.a = {
          script = "true";
          startAt = "daily";
          serviceConfig.ExecStart = lib.mkForce "/bin/forced";
        };
      }
    )
  ] { a = "run"; };
  users = {
    module = {
      services.upgrade-gate.enable = true;
      services.upgrade-gate.userUnits = {
        flatpak-user-update = { };
        home-manager-auto-upgrade.mode = "companion";
        sync = { };
      };
      systemd.user.services = {
        flatpak-user-update = {
          serviceConfig.Type = "oneshot";
          script = "flatpak --user update -y";
        };
        home-manager-auto-upgrade = {
          serviceConfig.Type = "oneshot";
          script = "home-manager switch";
        };
        sync = {
          serviceConfig.ExecStart = "/bin/sync-daemon";
          serviceConfig.Restart = "always";
        };
      };
    };
    gates.home-manager-auto-upgrade.mode = "companion";
    users = [
      "flatpak-user-update"
      "home-manager-auto-upgrade"
      "sync"
    ];
    becomes = {
      flatpak-user-update = "run";
      home-manager-auto-upgrade = "companion";
      sync = "companion";
    };
  };
}
