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
        scriptArgs = option types.str "";
        wants = list;
        after = list;
        requires = list;
        wantedBy = list;
        path = list;
        reloadTriggers = list;
        environment = option (types.attrsOf types.str) { };
        unitConfig = option (types.attrsOf types.anything) { };
        restartIfChanged = option types.bool true;
        overrideStrategy = option types.str "asDropinIfExists";
      };
      config.serviceConfig.ExecStart = mkIf (
        config.script != ""
      ) "/store/${name}-start ${config.scriptArgs}";
    };
in
{
  options = {
    assertions = list;
    environment.systemPackages = list;
    environment.etc = option (types.attrsOf types.anything) { };
    networking.proxy.envVars = option (types.attrsOf types.str) { };
    programs.ssh.package = option types.str "openssh";
    services.fwupd.enable = option types.bool false;
    services.fwupd.package = option types.str "/store/fwupd";
    system.autoUpgrade = {
      enable = option types.bool false;
      flake = option (types.nullOr types.str) null;
      channel = option (types.nullOr types.str) null;
      flags = list;
    };
    systemd.packages = list;
    systemd.tmpfiles.packages = list;
    systemd.timers = option (types.attrsOf types.anything) { };
    systemd.services = mkOption {
      type = types.attrsOf (types.submodule service);
      default = { };
    };
  };

  config = lib.mkMerge [
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
