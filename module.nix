# services.upgrade-gate: gates system.autoUpgrade, fwupd-refresh and any other unit; docs/nixos.md tells how.
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

  # a foreign machine's binary cannot be asked while building
  checker =
    if pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform then
      cfg.package
    else
      pkgs.buildPackages.callPackage ./package.nix { };

  # upgrade-gate.toml, if upgrade-gate itself finds nothing wrong with it
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

  # what the units of the package find as other services do
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
            services.upgrade-gate is told what to gate, but is not enabled. Set services.upgrade-gate.enable = true;
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

      # template and instances: a switch to another version must not end the upgrade that does the switching
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
      # The script does not look at them. upgrade-gate does: it probes what --flake, -I, --option and --update-input name.
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
        # it is not root's, so that /run/upgrade-gate is not for it
        RuntimeDirectory = mkDefault "upgrade-gate/fwupd-refresh";
      };
    })
  ];
}
