# What becomes of nixos-upgrade and fwupd-refresh.
{
  channel,
  enabled,
  evaluate,
  flake,
  fwupd,
  gates,
  lines,
  settings,
  ...
}:
let
  dependencies =
    config:
    builtins.filter (line: builtins.match "(Wants|After)=.*" line != null) (
      lines config.systemd.units."nixos-upgrade.service".text
    );
  guarded =
    module:
    enabled {
      imports = [ module ];
      services.upgrade-gate.autoUpgrade.enable = true;
      services.upgrade-gate.autoUpgrade.guard.enable = true;
      system.autoUpgrade.enable = true;
    };
in
{
  "the upgrade and the refresh are units like others" = [
    (map gates [
      flake
      fwupd
    ])
    [
      [ "gate system nixos-upgrade" ]
      [ "gate system fwupd-refresh" ]
    ]
  ];
  "the profile knows the flake" = [
    (settings flake).profile
    { nixos-upgrade.flake = "github:me/config"; }
  ];
  "an upgrade that is gated by name is told the flake too" = [
    (settings (enabled {
      services.upgrade-gate.units.nixos-upgrade = { };
      system.autoUpgrade.enable = true;
      system.autoUpgrade.flake = "github:me/config";
    })).profile
    { nixos-upgrade.flake = "github:me/config"; }
  ];
  "the flake that a profile names itself is left alone" = [
    (settings (
      enabled {
        services.upgrade-gate = {
          autoUpgrade.enable = true;
          settings.profile.nixos-upgrade.flake = "github:other/config";
        };
        system.autoUpgrade = {
          enable = true;
          flake = "github:me/config";
        };
      }
    )).profile.nixos-upgrade.flake
    "github:other/config"
  ];
  "without a flake there is none in the profile" = [
    (settings channel)
    { profile.nixos-upgrade = { }; }
  ];
  "the upgrade no longer asks for network-online.target, and keeps what else it asks for" = [
    (map dependencies [
      flake
      (enabled {
        services.upgrade-gate.autoUpgrade.enable = true;
        system.autoUpgrade.enable = true;
        systemd.services.nixos-upgrade.after = [ "mine.service" ];
      })
      (evaluate { system.autoUpgrade.enable = true; }).config
    ])
    [
      [
        "After="
        "Wants="
      ]
      [
        "After=mine.service"
        "Wants="
      ]
      [
        "After=network-online.target"
        "Wants=network-online.target"
      ]
    ]
  ];
  "with the guard the upgrade builds, and run has the system tried" = [
    (
      let
        config = guarded { };
      in
      [
        config.systemd.services.nixos-upgrade.script
        {
          inherit (config.systemd.services.nixos-upgrade.serviceConfig) StateDirectory WorkingDirectory;
        }
        (settings config).profile.nixos-upgrade.guard
        (settings (guarded { system.autoUpgrade.operation = "boot"; })).profile.nixos-upgrade.guard.mode
      ]
    )
    [
      "/store/nixos-rebuild/bin/nixos-rebuild build --upgrade\n"
      {
        StateDirectory = "nixos-upgrade";
        WorkingDirectory = "/var/lib/nixos-upgrade";
      }
      {
        enable = true;
        system = "/var/lib/nixos-upgrade/result";
      }
      "reboot"
    ]
  ];
  "with allowReboot the guard may reboot into what wants a boot" = [
    (
      let
        guard = upgrade: (settings (guarded { system.autoUpgrade = upgrade; })).profile.nixos-upgrade.guard;
        rebooting = upgrade: {
          inherit (guard (upgrade // { allowReboot = true; })) mode on_staged;
        };
      in
      map rebooting [
        { }
        { operation = "boot"; }
      ]
    )
    [
      {
        mode = "auto";
        on_staged = "/store/upgrade-gate-reboot";
      }
      {
        mode = "reboot";
        on_staged = "/store/upgrade-gate-reboot";
      }
    ]
  ];
  "with the guard the upgrade is never a mere companion" = [
    (gates (guarded { }))
    [ "gate system nixos-upgrade --mode=run" ]
  ];
  "one option upgrades at boot and whenever the network returns after so long" = [
    (
      let
        config = enabled {
          services.upgrade-gate.autoUpgrade.enable = true;
          services.upgrade-gate.autoUpgrade.whenOnline = "20h";
          system.autoUpgrade.enable = true;
        };
      in
      [
        (settings config)
        config.systemd.units."nixos-upgrade.service".wantedBy
        config.systemd.services.upgrade-gate-watch.wantedBy
        config.warnings
      ]
    )
    [
      { profile.nixos-upgrade.at_most_every = "20h"; }
      [ "upgrade-gate-online.target" ]
      [ "multi-user.target" ]
      [ ]
    ]
  ];
}
