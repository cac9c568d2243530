# The module in a NixOS of nothing but stand-ins: what a configuration comes to.
configuration:
let
  lib = import ./lib.nix;
  package = {
    outPath = "/store/upgrade-gate";
  };
  pkgs = {
    callPackage = _: _: package;
    runtimeShell = "/bin/bash";
    formats.toml = _: {
      type = lib.types.attrsOf lib.types.anything // {
        description = "TOML value";
      };
      generate = _: value: builtins.toJSON value;
    };
    runCommand = name: environment: text: { inherit name environment text; };
    coreutils = "/store/coreutils";
    writeShellScript = name: text: {
      inherit name text;
      outPath = "/store/${name}";
    };
    writeText = name: text: { inherit name text; };
    stdenv = {
      buildPlatform.canExecute = _: true;
      hostPlatform = { };
    };
  };
in
lib.evalModules {
  # what comes first is first in lists, as in NixOS what a configuration adds is
  modules = [
    configuration
    ../../module.nix
    ./nixos.nix
  ];
  args = {
    inherit lib pkgs;
    utils.systemdUtils.lib = import ./systemd.nix { inherit lib; };
  };
}
