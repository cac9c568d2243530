# What becomes of nixos-upgrade and fwupd-refresh.
{
  channel,
  enabled,
  flake,
  fwupd,
  gate,
  settings,
  ...
}:
{
  "the upgrade of a flake is run by upgrade-gate, which is told the flags" = [
    flake.systemd.services.nixos-upgrade.serviceConfig
    {
      Type = "exec";
      NotifyAccess = "main";
      TimeoutStartSec = "infinity";
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
      TimeoutStartSec = "infinity";
      SuccessExitStatus = [ "75" ];
      StandardError = "inherit";
      RuntimeDirectory = "upgrade-gate/fwupd-refresh";
      StateDirectory = "upgrade-gate/fwupd-refresh";
      ExecStart = [
        ""
        "${gate} run --profile fwupd-refresh -- /store/fwupd/bin/fwupdmgr refresh"
      ];
    }
  ];
}
