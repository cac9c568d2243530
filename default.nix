# Without flakes: nix-build -A package; nix-build -A tests.resume_wifi; imports = [ (import ./.. { }).module ];
{
  pkgs ? import <nixpkgs> { },
}:
{
  package = pkgs.callPackage ./package.nix { };
  module = ./module.nix;
  tests = import ./vm-tests { inherit pkgs; };
}
