# services.upgrade-gate: gates system.autoUpgrade, fwupd-refresh and any other unit; see docs/nixos.md.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib)
    mkDefault
    mkIf
    mkMerge
    ;

  cfg = config.services.upgrade-gate;
  upgrade = config.system.autoUpgrade;

  # a binary of another architecture cannot run at build time
  checker =
    if pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform then
      cfg.package
    else
      pkgs.buildPackages.callPackage ./package.nix { };

  # upgrade-gate.toml, if upgrade-gate accepts it
  checked =
    let
      written = (pkgs.formats.toml { }).generate "upgrade-gate.toml" cfg.settings;
    in
    pkgs.runCommand "upgrade-gate.toml" { } ''
      mkdir -p root/etc/upgrade-gate
      cp ${written} root/etc/upgrade-gate/upgrade-gate.toml
      if ! ${checker}/bin/upgrade-gate --root "$PWD/root" config > said; then
        echo "services.upgrade-gate: the profiles or settings are wrong" >&2
        cat said >&2
        exit 1
      fi
      cp ${written} $out
    '';

  # the environment that other services have, for the package's units
  surroundings = {
    path = [ config.programs.ssh.package ];
    environment = config.networking.proxy.envVars;
  };

  demand = assertion: message: { inherit assertion message; };
in
{
  imports = [
    ./nix/options.nix
    ./nix/units.nix
  ];

  config = mkMerge [
    {
      assertions = [
        (demand
          (
            cfg.autoUpgrade.enable || cfg.fwupdRefresh.enable || cfg.watch.enable || cfg.units != { }
            -> cfg.enable
          )
          ''
            services.upgrade-gate has gates, but is not enabled. Set services.upgrade-gate.enable = true;
          ''
        )
      ];
    }
    (mkIf cfg.enable {
      assertions = [
        (demand (cfg.autoUpgrade.enable -> upgrade.enable) ''
          services.upgrade-gate.autoUpgrade.enable gates an upgrade that is not enabled. Set system.autoUpgrade.enable = true;
        '')
        (demand (cfg.fwupdRefresh.enable -> config.services.fwupd.enable) ''
          services.upgrade-gate.fwupdRefresh.enable gates a service that is not enabled. Set services.fwupd.enable = true;
        '')
      ];

      environment.systemPackages = [ cfg.package ];
      environment.etc = mkIf (cfg.settings != { }) {
        "upgrade-gate/upgrade-gate.toml".source = checked;
      };
      systemd.packages = [ cfg.package ];
      systemd.tmpfiles.packages = [ cfg.package ];

      services.upgrade-gate.settings = mkMerge [
        {
          profile = mkIf (cfg.profiles != { }) (
            lib.mapAttrs (_: lib.filterAttrs (_: value: value != null)) cfg.profiles
          );
        }
        (mkIf cfg.watch.enable {
          watch = lib.filterAttrs (name: value: name != "enable" && value != null) cfg.watch;
        })
      ];

      # what undoes a system that is tried; without a try it does nothing
      systemd.services.upgrade-gate-guard = {
        overrideStrategy = "asDropin";
        restartIfChanged = false;
        unitConfig.X-StopOnRemoval = false;
        wantedBy = [
          "multi-user.target"
          "emergency.target"
          "rescue.target"
        ];
      };
      systemd.timers.upgrade-gate-guard-boot = {
        overrideStrategy = "asDropin";
        wantedBy = [ "sysinit.target" ];
      };

      # template and instances: a switch to another version must not stop the upgrade that runs the switch
      systemd.services."upgrade-gate@" = surroundings // {
        overrideStrategy = "asDropin";
        restartIfChanged = false;
        unitConfig.X-StopOnRemoval = false;
      };
    })
    (mkIf (cfg.enable && cfg.watch.enable) {
      systemd.services.upgrade-gate-watch = surroundings // {
        overrideStrategy = "asDropin";
        wantedBy = [ "multi-user.target" ];
        reloadTriggers = lib.optional (cfg.settings != { }) checked;
      };
    })
    (mkIf (cfg.enable && cfg.autoUpgrade.enable && upgrade.enable) {
      services.upgrade-gate.profiles = mkIf (upgrade.flake != null) {
        nixos-upgrade.flake = mkDefault upgrade.flake;
      };
      # The script ignores them. upgrade-gate reads them, and probes the hosts in --flake, -I, --option and --update-input.
      systemd.services.nixos-upgrade.scriptArgs = mkDefault (
        utils.escapeSystemdExecArgs (
          builtins.filter (word: word != "") (lib.splitString " " (toString upgrade.flags))
        )
      );
    })
    (mkIf (cfg.enable && cfg.fwupdRefresh.enable && config.services.fwupd.enable) {
      systemd.services.fwupd-refresh.serviceConfig = {
        # the package's own command, which only its unit file has
        ExecStart = [
          ""
          "${config.services.fwupd.package}/bin/fwupdmgr refresh"
        ];
        # it does not run as root, so it cannot use /run/upgrade-gate
        RuntimeDirectory = mkDefault "upgrade-gate/fwupd-refresh";
        StateDirectory = mkDefault "upgrade-gate/fwupd-refresh";
      };
    })
  ];
}
