# The options of NixOS that the module reads and sets, with the units that NixOS itself defines; values instead of packages.
{ lib, config, ... }:
let
  inherit (lib) mkIf mkOption types;
  option = type: default: mkOption { inherit type default; };
  list = option (types.listOf types.anything) [ ];

  # as systemd.services.<name>.serviceConfig.<key>: lists are added up
  setting = types.anything // {
    merge =
      path: values:
      if builtins.any builtins.isList values then
        builtins.concatMap lib.toList values
      else
        types.anything.merge path values;
  };

  service =
    { name, config, ... }:
    {
      options = {
        serviceConfig = mkOption {
          type = types.attrsOf setting;
          default = { };
        };
        script = option types.lines "";
        preStart = option types.lines "";
        postStart = option types.lines "";
        preStop = option types.lines "";
        postStop = option types.lines "";
        scriptArgs = option types.str "";
        wants = list;
        after = list;
        requires = list;
        wantedBy = list;
        path = list;
        reloadTriggers = list;
        restartTriggers = list;
        environment = option (types.attrsOf types.anything) { };
        unitConfig = option (types.attrsOf types.anything) { };
        requiredBy = list;
        before = list;
        onSuccess = list;
        restartIfChanged = option types.bool true;
        stopIfChanged = option types.bool true;
        startAt = option types.str "";
        enable = option types.bool true;
        overrideStrategy = option types.str "asDropinIfExists";
        name = option types.str "${name}.service";
      };
      config = {
        serviceConfig = lib.mkMerge [
          (mkIf (config.script != "") { ExecStart = "/store/${name}-start ${config.scriptArgs}"; })
          (mkIf (config.preStart != "") { ExecStartPre = [ "/store/${name}-pre-start" ]; })
          (mkIf (config.postStart != "") { ExecStartPost = [ "/store/${name}-post-start" ]; })
          (mkIf (config.preStop != "") { ExecStop = "/store/${name}-pre-stop"; })
          (mkIf (config.postStop != "") { ExecStopPost = "/store/${name}-post-stop"; })
        ];
        unitConfig = dependencies config;
      };
    };

  # the lists of a unit as they stand in [Unit]
  dependencies =
    unit:
    builtins.mapAttrs (_: toString) (
      lib.filterAttrs (_: units: units != [ ]) {
        Wants = unit.wants;
        After = unit.after;
        Requires = unit.requires;
        Before = unit.before;
        OnSuccess = unit.onSuccess;
      }
    );

  unit = types.submodule {
    options = {
      text = option types.str "";
      enable = option types.bool true;
      overrideStrategy = option types.str "asDropinIfExists";
      wantedBy = list;
      requiredBy = list;
    };
  };
  inherit (import ./systemd.nix { inherit lib; }) serviceToUnit socketToUnit timerToUnit;
  named = lib.mapAttrs' (_: unit: lib.nameValuePair unit.name (removeAttrs unit [ "name" ]));
in
{
  options = {
    assertions = list;
    warnings = list;
    environment.systemPackages = list;
    environment.etc = option (types.attrsOf types.anything) { };
    networking.proxy.envVars = option (types.attrsOf types.str) { };
    programs.ssh.package = option types.str "openssh";
    boot.loader.systemd-boot.configurationLimit = option (types.nullOr types.ints.positive) null;
    system.build.nixos-rebuild = option types.str "/store/nixos-rebuild";
    services.fwupd.enable = option types.bool false;
    services.fwupd.package = option types.str "/store/fwupd";
    system.autoUpgrade = {
      enable = option types.bool false;
      flake = option (types.nullOr types.str) null;
      channel = option (types.nullOr types.str) null;
      flags = list;
      operation = option types.str "switch";
      allowReboot = option types.bool false;
      runGarbageCollection = option types.bool false;
      rebootWindow = option (types.nullOr types.anything) null;
    };
    systemd.package = option types.str "/store/systemd";
    systemd.packages = list;
    systemd.suppressedSystemUnits = list;
    systemd.additionalUpstreamSystemUnits = list;
    systemd.units = option (types.attrsOf unit) { };
    systemd.targets = option (types.attrsOf types.anything) { };
    systemd.sockets = option (types.attrsOf types.anything) { };
    systemd.tmpfiles.packages = list;
    systemd.timers = option (types.attrsOf types.anything) { };
    systemd.user.units = option (types.attrsOf unit) { };
    systemd.user.services = mkOption {
      type = types.attrsOf (types.submodule service);
      default = { };
    };
    systemd.services = mkOption {
      type = types.attrsOf (types.submodule service);
      default = { };
    };
  };

  config = lib.mkMerge [
    {
      systemd.units = named (builtins.mapAttrs (_: serviceToUnit) config.systemd.services);
    }
    {
      systemd.user.units = named (builtins.mapAttrs (_: serviceToUnit) config.systemd.user.services);
    }
    {
      systemd.units = named (builtins.mapAttrs timerToUnit config.systemd.timers);
    }
    {
      systemd.units = named (builtins.mapAttrs socketToUnit config.systemd.sockets);
    }
    {
      systemd.timers = builtins.mapAttrs (_: service: {
        wantedBy = [ "timers.target" ];
        timerConfig.OnCalendar = service.startAt;
      }) (lib.filterAttrs (_: service: service.startAt != "") config.systemd.services);
    }
    (mkIf config.system.autoUpgrade.enable {
      system.autoUpgrade.flags =
        if config.system.autoUpgrade.flake == null then
          lib.optional (
            config.system.autoUpgrade.channel != null
          ) "-I nixpkgs=${toString config.system.autoUpgrade.channel}/nixexprs.tar.xz"
        else
          [ "--flake ${config.system.autoUpgrade.flake}" ];
      systemd.services.nixos-upgrade = {
        restartIfChanged = false;
        unitConfig.X-StopOnRemoval = false;
        serviceConfig.Type = "oneshot";
        environment.NIX_PATH = "nixpkgs=/channels";
        script = "nixos-rebuild switch";
        after = [ "network-online.target" ];
        wants = [ "network-online.target" ];
      };
    })
    (mkIf config.services.fwupd.enable {
      systemd.services.fwupd-refresh.serviceConfig.StandardError = "inherit";
    })
  ];
}
