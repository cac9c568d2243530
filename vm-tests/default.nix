# Every scenario as a NixOS VM test of this machine's architecture, the mixed ones both ways round.
#   nix-build vm-tests -A resume_wifi
# A closure of the other architecture needs binfmt (boot.binfmt.emulatedSystems) or a remote builder; see README.md.
{
  pkgs ? import <nixpkgs> { },
  package ? pkgs: pkgs.callPackage ../package.nix { },
}:
builtins.mapAttrs (_: pkgs.testers.runNixOSTest) (
  import ./tests.nix {
    inherit (pkgs) lib;
    inherit (pkgs.stdenv.hostPlatform) system;
    inherit package;
  }
)
