# services.upgrade-gate: gates system.autoUpgrade, fwupd-refresh and any other unit; see docs/nixos.md.
#
# How a unit is gated is decided by the program: `upgrade-gate drop-in` reads the unit files that NixOS has generated.
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
  inherit (config) systemd;
  systemdLib = utils.systemdUtils.lib;

  # a binary of another architecture cannot run at build time
  checker =
    if pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform then
      cfg.package
    else
      pkgs.buildPackages.upgrade-gate or (pkgs.buildPackages.callPackage ./package.nix { });

  # what is set of cfg.settings
  settings =
    let
      set =
        values:
        lib.filterAttrs (_: value: value != null && value != { }) (
          builtins.mapAttrs (_: value: if builtins.isAttrs value then set value else value) values
        );
    in
    lib.filterAttrs (_: value: value != { }) {
      profile = lib.mapAttrs (_: set) cfg.settings.profile;
      watch = set cfg.settings.watch;
    };

  # upgrade-gate.toml, if upgrade-gate accepts it
  checked =
    let
      written = (pkgs.formats.toml { }).generate "upgrade-gate.toml" settings;
    in
    pkgs.runCommand "upgrade-gate.toml" { } ''
      mkdir -p root/etc/upgrade-gate
      cp ${written} root/etc/upgrade-gate/upgrade-gate.toml
      if ! ${checker}/bin/upgrade-gate --root "$PWD/root" config > said; then
        echo "services.upgrade-gate.settings is wrong" >&2
        cat said >&2
        exit 1
      fi
      cp ${written} $out
    '';

  # the same for every version: a switch to another one leaves the units alone, and their next start uses it
  installed = "/run/current-system/sw/bin/upgrade-gate";

  dropIns = "upgrade-gate-drop-ins";

  # /etc/systemd/system and /etc/systemd/user, but for the drop-ins
  systemFiles = unitFiles "system" (removeAttrs systemd.units systemd.suppressedSystemUnits) (
    systemd.additionalUpstreamSystemUnits
  );
  userFiles = unitFiles "user" systemd.user.units [ ];
  unitFiles =
    type: units: upstreamUnits:
    systemdLib.generateUnits {
      inherit type units upstreamUnits;
      upstreamWants = [ ];
      packages = builtins.filter (package: package.name or "" != dropIns) systemd.packages;
    };

  # what nix/drop-ins.sh is told to do
  gate =
    whose: name: unit:
    "gate ${whose} "
    + lib.escapeShellArgs (
      [ name ]
      ++ lib.optional (unit.mode != null) "--mode=${unit.mode}"
      ++ lib.optional (unit.profile != null) "--profile=${unit.profile}"
    );
  gates =
    lib.mapAttrsToList (gate "system") cfg.units
    ++ lib.mapAttrsToList (gate "user") cfg.userUnits;

  # the profiles of gated units, as `upgrade-gate drop-in` names them; one with specifiers has many names
  profiles =
    let
      own = name: unit: if unit.profile == null then lib.removeSuffix "@" name else unit.profile;
      all = lib.mapAttrsToList own cfg.units ++ lib.mapAttrsToList own cfg.userUnits;
    in
    builtins.filter (name: !lib.hasInfix "%" name) all;

  # what needs the watch: its settings, and units that only its target starts
  ofWatch =
    lib.optional (settings ? watch) "services.upgrade-gate.settings.watch"
    ++ map (unit: "${unit}, wanted by upgrade-gate-online.target") (
      builtins.attrNames (
        lib.filterAttrs (
          _: unit: builtins.elem "upgrade-gate-online.target" (unit.wantedBy ++ unit.requiredBy)
        ) systemd.units
      )
    );

  guarded = cfg.autoUpgrade.guard.enable;
  builds = "/var/lib/nixos-upgrade";
  # how many systems the boot menu has; null: all
  kept = config.boot.loader.systemd-boot.configurationLimit or null;
  # as system.autoUpgrade has them
  upgradeFlags =
    upgrade.flags
    ++ lib.optional (upgrade.channel == null && (upgrade.upgrade or true)) "--upgrade";

  # what may reboot into a system that is staged
  reboot =
    let
      always = {
        lower = "00:00";
        upper = "00:00";
      };
      window = if upgrade.rebootWindow or null == null then always else upgrade.rebootWindow;
    in
    pkgs.writeShellScript "upgrade-gate-reboot" ''
      export PATH=${pkgs.coreutils}/bin:${systemd.package}/bin
      lower=${lib.escapeShellArgs [ window.lower ]}
      upper=${lib.escapeShellArgs [ window.upper ]}
      ${builtins.readFile ./nix/reboot.sh}'';

  # the environment that other services have, for the package's units
  surroundings = {
    path = [ config.programs.ssh.package ];
    environment = config.networking.proxy.envVars;
  };

  # Wants= and After= without network-online.target, which a drop-in cannot remove
  withoutNetworkOnline =
    service:
    let
      others = builtins.filter (unit: unit != "network-online.target");
      without = units: toString (others (lib.splitString " " (toString units)));
      known = builtins.intersectAttrs {
        Wants = null;
        After = null;
      } service.unitConfig;
    in
    service // { unitConfig = service.unitConfig // lib.mapAttrs (_: without) known; };
in
{
  imports = [ ./nix/options.nix ];

  config = mkIf cfg.enable (mkMerge [
    {
      assertions = [
        {
          assertion = cfg.autoUpgrade.enable -> upgrade.enable;
          message = "services.upgrade-gate.autoUpgrade.enable gates an upgrade that is not enabled. Set system.autoUpgrade.enable = true;";
        }
        {
          assertion = cfg.fwupdRefresh.enable -> config.services.fwupd.enable;
          message = "services.upgrade-gate.fwupdRefresh.enable gates a service that is not enabled. Set services.fwupd.enable = true;";
        }
        {
          assertion = guarded -> cfg.autoUpgrade.enable;
          message = "services.upgrade-gate.autoUpgrade.guard.enable needs services.upgrade-gate.autoUpgrade.enable = true;";
        }
        {
          assertion = guarded -> !(upgrade.runGarbageCollection or false);
          message = "services.upgrade-gate.autoUpgrade.guard cannot collect garbage after an upgrade that it watches. Set system.autoUpgrade.runGarbageCollection = false; and use nix.gc.automatic.";
        }
        {
          assertion = guarded -> kept == null || kept >= 2;
          message = "services.upgrade-gate.autoUpgrade.guard needs the boot entry of the system before. Set boot.loader.systemd-boot.configurationLimit to 2 or more.";
        }
      ];
      warnings = lib.optional (!cfg.watch.enable && ofWatch != [ ]) (
        "No effect without services.upgrade-gate.watch.enable = true: " + lib.concatStringsSep ", " ofWatch
      );

      environment.systemPackages = [ cfg.package ];
      environment.etc = mkIf (settings != { }) {
        "upgrade-gate/upgrade-gate.toml".source = checked;
      };
      systemd.packages = [ cfg.package ];
      systemd.tmpfiles.packages = [ cfg.package ];

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
    }
    (mkIf cfg.watch.enable {
      systemd.services.upgrade-gate-watch = surroundings // {
        overrideStrategy = "asDropin";
        wantedBy = [ "multi-user.target" ];
        # restarted in one job, a watch leaves the target active for the next one
        restartTriggers = [ cfg.package ];
        stopIfChanged = false;
        serviceConfig.ExecStart = [
          ""
          "${installed} watch"
        ];
        reloadTriggers = lib.optional (settings != { }) checked;
      };
    })
    {
      # a companion only waits: what would be built is then never tried
      services.upgrade-gate.units = mkIf cfg.autoUpgrade.enable {
        nixos-upgrade.mode = mkIf guarded (mkDefault "run");
      };
    }
    (mkIf (guarded && cfg.autoUpgrade.enable) {
      services.upgrade-gate.settings.profile.nixos-upgrade.guard = {
        enable = true;
        system = mkDefault "${builds}/result";
        mode = mkDefault (
          if upgrade.operation == "boot" then
            "reboot"
          else if upgrade.allowReboot then
            "auto"
          else
            null
        );
        on_staged = mkIf upgrade.allowReboot (mkDefault "${reboot}");
      };
      # it builds; run has the guard activate what it leaves in its directory
      systemd.services.nixos-upgrade = {
        script = lib.mkForce ''
          ${config.system.build.nixos-rebuild}/bin/nixos-rebuild build ${toString upgradeFlags}
        '';
        serviceConfig = {
          StateDirectory = baseNameOf builds;
          WorkingDirectory = builds;
        };
      };
    })
    (mkIf (cfg.autoUpgrade.enable && cfg.autoUpgrade.whenOnline != null) {
      services.upgrade-gate.watch.enable = true;
      services.upgrade-gate.settings.profile.nixos-upgrade = {
        at_most_every = mkDefault cfg.autoUpgrade.whenOnline;
      };
      systemd.services.nixos-upgrade.wantedBy = [ "upgrade-gate-online.target" ];
    })
    { services.upgrade-gate.units = mkIf cfg.fwupdRefresh.enable { fwupd-refresh = { }; }; }
    (mkIf (gates != [ ]) {
      systemd.packages = [
        (pkgs.runCommand dropIns
          {
            inherit systemFiles userFiles;
            program = "${checker}/bin/upgrade-gate";
            inherit installed;
          }
          ''
            ${builtins.readFile ./nix/drop-ins.sh}
            ${lib.concatStringsSep "\n" gates}
            [[ $refused == 0 ]]
          ''
        )
      ];
      # a profile that is in no file may be reported as misspelt
      services.upgrade-gate.settings.profile = lib.genAttrs profiles (_: { });
    })
    (mkIf (cfg.units ? nixos-upgrade && upgrade.enable) {
      services.upgrade-gate.settings.profile.nixos-upgrade = mkIf (upgrade.flake != null) {
        flake = mkDefault upgrade.flake;
      };
      systemd.units."nixos-upgrade.service".text = lib.mkForce (
        systemdLib.serviceToUnit (withoutNetworkOnline systemd.services.nixos-upgrade)
      ).text;
    })
  ]);
}
